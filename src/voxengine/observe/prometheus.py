"""Figures of conversations for Prometheus, from events that are rare: nothing is done for a piece of audio or a word.

Labels are the names of providers and words of a short list, so that the number of series is bounded whatever callers
do. Needs `prometheus-client`, which the extra `gateway` brings.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram

from voxengine import events as ev
from voxengine.observe.metrics import STAGES
from voxengine.observe.watched import Watched

__all__ = ["ConversationMetrics", "EngineWatch"]

#: Upper bounds of the histograms, in seconds: what a listener notices lies between 0.2 and 3.
BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.3, 1.7, 2.2, 3.0, 5.0, 10.0)


class _Leg(Protocol):
    """What one provider has cost with one model, in US dollars; None if it is not known."""

    provider: str
    model: str
    cost: float | None


class ConversationMetrics:
    """The figures of all conversations that it is told to watch.

    Args:
        registry: where they are registered. Two of these need two registries.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, words: str, *labels: str) -> Counter:
            return Counter(f"voxengine_{name}", words, labels, registry=registry)

        def histogram(name: str, words: str, *labels: str) -> Histogram:
            return Histogram(f"voxengine_{name}", words, labels, registry=registry, buckets=BUCKETS)

        self.first_audio = histogram(
            "first_audio_seconds",
            "From the end of the user's speech to the first audio of the answer",
            "provider",
        )
        self.stages = histogram(
            "turn_stage_seconds",
            "From the end of the user's speech to a stage",
            "provider",
            "stage",
        )
        self.turns = counter("turns", "Turns of users", "provider")
        self.responses = counter("responses", "Responses, by how they ended", "provider", "status")
        self.interruptions = counter(
            "interruptions", "Answers cut short; 'speech' is barge-in", "provider", "reason"
        )
        self.switches = counter(
            "provider_switches", "Another provider took over; it is the label", "provider", "reason"
        )
        self.losses = counter("connections_lost", "Connections to a provider lost", "provider")
        self.tool_calls = counter("tool_calls", "Calls of tools", "provider")
        self.tool_failures = counter(
            "tool_failures", "Calls of tools that failed", "provider", "code"
        )
        self.cost = counter("cost_usd", "US dollars, as far as prices are known", "provider")
        self.dropped = counter(
            "audio_dropped_seconds", "Audio thrown away at a bounded buffer", "direction"
        )
        self.errors = counter("errors", "Errors that were told", "provider")

    def watch(self, engine: Watched) -> EngineWatch:
        """Follow one conversation, for as long as it lasts."""
        return EngineWatch(self, engine)


class EngineWatch:
    """Follows one conversation."""

    def __init__(self, figures: ConversationMetrics, engine: Watched) -> None:
        self._figures = figures
        #: What was counted of each leg's cost.
        self._paid: dict[tuple[str, str], float] = {}
        f = figures
        engine.on((ev.EventType.METRICS_UPDATED,), self._measured)
        engine.on((ev.EventType.COST_UPDATED,), self._cost)
        engine.on((ev.EventType.AUDIO_DROPPED,), self._dropped)
        engine.on(
            (ev.EventType.CONVERSATION_TURN_DETECTED,), lambda e: f.turns.labels(e.provider).inc()
        )
        engine.on(
            (ev.EventType.RESPONSE_COMPLETED,),
            lambda e: f.responses.labels(
                e.provider, "incomplete" if e.status == "incomplete" else "completed"
            ).inc(),
        )
        engine.on(
            (ev.EventType.RESPONSE_CANCELLED,),
            lambda e: f.responses.labels(e.provider, "cancelled").inc(),
        )
        engine.on(
            (ev.EventType.RESPONSE_ERROR,), lambda e: f.responses.labels(e.provider, "failed").inc()
        )
        engine.on(
            (ev.EventType.CONVERSATION_INTERRUPTED,),
            lambda e: f.interruptions.labels(e.provider, e.reason).inc(),
        )
        engine.on(
            (ev.EventType.PROVIDER_SWITCHED,),
            lambda e: f.switches.labels(e.provider, e.reason).inc(),
        )
        engine.on((ev.EventType.CONNECTION_LOST,), lambda e: f.losses.labels(e.provider).inc())
        engine.on((ev.EventType.FUNCTION_INVOKED,), lambda e: f.tool_calls.labels(e.provider).inc())
        engine.on(
            (ev.EventType.FUNCTION_FAILED,),
            lambda e: f.tool_failures.labels(e.provider, e.code).inc(),
        )
        engine.on((ev.EventType.ERROR_GENERAL,), lambda e: f.errors.labels(e.provider).inc())

    def settle(self, legs: Iterable[_Leg]) -> None:
        """Count what the conversation has cost beyond what was told so far."""
        for leg in legs:
            self._pay(leg.provider, leg.model, leg.cost)

    def _measured(self, event: ev.MetricsUpdated) -> None:
        if event.first_audio_ms is not None:
            self._figures.first_audio.labels(event.provider).observe(event.first_audio_ms / 1000)
        for stage in STAGES:
            value = getattr(event, stage)
            if value is not None:
                self._figures.stages.labels(event.provider, stage.removesuffix("_ms")).observe(
                    value / 1000
                )

    def _cost(self, event: ev.CostUpdated) -> None:
        self._pay(event.provider, event.model, event.leg_cost)

    def _pay(self, provider: str, model: str, total: float | None) -> None:
        more = (total or 0.0) - self._paid.get((provider, model), 0.0)
        if more > 0:
            self._paid[provider, model] = total or 0.0
            self._figures.cost.labels(provider).inc(more)

    def _dropped(self, event: ev.AudioDropped) -> None:
        self._figures.dropped.labels(event.direction).inc(event.audio_ms / 1000)
