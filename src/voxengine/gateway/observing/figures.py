"""The gateway's figures for Prometheus.

What is a count is counted when it happens; what is a state (calls that are live, lag, the store's queue) is looked at
when somebody asks. Labels are routes of the configuration, registered providers, and words of short lists; a model that
is no route is "other".
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, ProcessCollector, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from voxengine.gateway.call import Call
from voxengine.gateway.observing.outcome import outcome_of
from voxengine.observe.prometheus import ConversationMetrics

if TYPE_CHECKING:
    from voxengine.gateway.gateway import Gateway

__all__ = ["CONTENT_TYPE", "Figures"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Codes of refusals that have a series of their own: providers add theirs to ours.
MAX_CODES = 60
#: What stands for a name that is not the configuration's.
OTHER = "other"
_PERCENTILES = (50, 99)


class Figures:
    """Counts what happens, in a registry of its own."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._registry = CollectorRegistry()
        self._conversations = ConversationMetrics(self._registry)
        self._calls = Counter(
            "voxengine_calls",
            "Calls that are over, by how they ended",
            ("route", "provider", "wire", "outcome"),
            registry=self._registry,
        )
        self._refused = Counter(
            "voxengine_refused",
            "Requests that were not granted, by the code of the answer",
            ("code",),
            registry=self._registry,
        )
        self._codes: set[str] = set()
        self._registry.register(_States(gateway))
        ProcessCollector(registry=self._registry)

    def opened(self, call: Call) -> None:
        """Follow a call."""
        watch = self._conversations.watch(call.engine)

        def over(ended: Call) -> None:
            watch.settle(ended.engine.usage.legs)
            provider = ended.engine.config.provider
            route = route_label(self._gateway, ended)
            self._calls.labels(route, provider, ended.wire, outcome_of(ended)).inc()

        call.on_end(over)

    def refused(self, code: str) -> None:
        """Count a refusal."""
        if code not in self._codes:
            if len(self._codes) >= MAX_CODES:
                code = OTHER
            self._codes.add(code)
        self._refused.labels(code).inc()

    def text(self) -> bytes:
        """All figures, in Prometheus' text format 0.0.4."""
        return generate_latest(self._registry)


def route_label(gateway: Gateway, call: Call) -> str:
    """The name of the call's route, if it is one of the configuration."""
    name = call.route.name
    return name if any(route.name == name for route in gateway.routes) else OTHER


class _States(Collector):
    """What is looked at when somebody asks."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def collect(self) -> Iterator[Metric]:
        gateway, health = self._gateway, self._gateway.store.health
        labels = ("route", "provider", "wire")
        live = GaugeMetricFamily("voxengine_calls_live", "Calls that are live", labels=labels)
        tally = Tally(
            (route_label(gateway, call), call.engine.config.provider, call.wire)
            for call in gateway.calls
        )
        for names, count in tally.items():
            live.add_metric(names, count)
        yield live
        ready = not gateway.not_ready()
        yield GaugeMetricFamily("voxengine_ready", "1 if new calls are taken", float(ready))
        lag = GaugeMetricFamily(
            "voxengine_loop_lag_seconds",
            "How late the event loop was, over the last 5 seconds",
            labels=("quantile",),
        )
        for percent in _PERCENTILES:
            lag.add_metric((f"{percent / 100:g}",), gateway.lag.percentile(percent) / 1000)
        yield lag
        for name, words, value in (
            ("up", "1 if the store can be written", float(health.ok)),
            ("pending", "Changes that wait to be written", health.pending),
            ("dropped", "Changes that were left out because too many waited", health.dropped),
            ("written", "Changes that were written", health.written),
            ("commit_seconds", "How long the last commit took", health.commit_ms / 1000),
        ):
            yield GaugeMetricFamily(f"voxengine_store_{name}", words, value)
