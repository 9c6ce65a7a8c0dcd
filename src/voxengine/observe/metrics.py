"""Counts and latencies of one engine, from its events."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

from voxengine.events import EventBus, EventType, MetricsUpdated, ProviderEvent

__all__ = ["STAGES", "Metrics"]

#: Turns whose latencies are kept for the percentiles.
KEEP = 1000

_COUNTED = {
    EventType.CONVERSATION_TURN_DETECTED: "turns",
    EventType.RESPONSE_STARTED: "responses",
    EventType.RESPONSE_CANCELLED: "responses_cancelled",
    EventType.RESPONSE_ERROR: "responses_failed",
    EventType.CONVERSATION_INTERRUPTED: "interruptions",
    EventType.FUNCTION_INVOKED: "tool_calls",
    EventType.FUNCTION_FAILED: "tool_failures",
    EventType.CONNECTION_LOST: "connections_lost",
    EventType.PROVIDER_SWITCHED: "switches",
    EventType.ERROR_GENERAL: "errors",
    EventType.SYSTEM_WARNING: "warnings",
    EventType.AUDIO_DROPPED: "audio_drops",
}

#: The stages of a turn, by the fields of `MetricsUpdated`.
STAGES = (
    "turn_decided_ms",
    "transcript_ms",
    "first_token_ms",
    "first_audio_ms",
    "first_audible_ms",
)


class Metrics:
    """Subscribes to events that are rare, never to audio."""

    def __init__(self, bus: EventBus) -> None:
        self._counts: Counter[str] = Counter()
        self._turns: deque[MetricsUpdated] = deque(maxlen=KEEP)
        bus.on(tuple(_COUNTED), self._count)
        bus.on(EventType.METRICS_UPDATED, self._turns.append)

    def _count(self, event: ProviderEvent) -> None:
        self._counts[_COUNTED[EventType(event.type)]] += 1

    def as_dict(self) -> dict[str, Any]:
        """Counts, and of each stage of a turn the median, 90th percentile and maximum in ms."""
        latency: dict[str, Any] = {}
        for stage in STAGES:
            values = sorted(v for turn in self._turns if (v := getattr(turn, stage)) is not None)
            if values:
                latency[stage] = {
                    "median": round(_quantile(values, 0.5), 1),
                    "p90": round(_quantile(values, 0.9), 1),
                    "max": round(values[-1], 1),
                }
        return {**{name: self._counts[name] for name in _COUNTED.values()}, "latency": latency}


def _quantile(values: list[float], q: float) -> float:
    """Of sorted values, linear between neighbours."""
    place = (len(values) - 1) * q
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)
