"""Spans of the gateway's calls, sent to a collector of OpenTelemetry by OTLP over HTTP."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Any

from voxengine import __version__
from voxengine.clock import Clock
from voxengine.errors import ConfigurationError, MissingDependencyError
from voxengine.gateway.call import Call
from voxengine.gateway.observing.outcome import outcome_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

    from voxengine.gateway.config import GatewayConfig

__all__ = ["Spans"]

logger = logging.getLogger("voxengine.gateway")

#: Variables of OpenTelemetry that name a collector, where the configuration does not.
VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
#: Seconds that one export may take, and that sending the last spans may take.
EXPORT_BUDGET = 5.0
CLOSE_BUDGET = 8.0
#: Spans that wait to be sent; what comes beyond them is left out.
MAX_QUEUE = 4096


class Spans:
    """Makes the spans of calls.

    Args:
        processor: what becomes of a span that is complete.
    """

    def __init__(self, processor: SpanProcessor) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider

        name = os.environ.get("OTEL_SERVICE_NAME") or "voxengine"
        resource = Resource.create({"service.name": name, "service.version": __version__})
        self._provider: TracerProvider | None = TracerProvider(
            resource=resource, shutdown_on_exit=False
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("voxengine", __version__)

    @classmethod
    def of(cls, config: GatewayConfig) -> Spans | None:
        """As the configuration or the environment wants it; None: no spans are wanted.

        Raises:
            MissingDependencyError: the extra `otel` is not installed.
            ConfigurationError: the collector's address is none.
        """
        if config.otel_endpoint is None and not any(os.environ.get(name) for name in VARIABLES):
            return None
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as missing:
            raise MissingDependencyError(
                "sending spans to OpenTelemetry", "otel", str(missing)
            ) from None
        # Without an address it takes that of the environment, and headers from there in any case.
        exporter = OTLPSpanExporter(endpoint=_traces(config.otel_endpoint), timeout=EXPORT_BUDGET)
        return cls(BatchSpanProcessor(exporter, max_queue_size=MAX_QUEUE))

    def opened(self, call: Call) -> None:
        """Follow a call."""
        from voxengine.observe.tracing import CallTrace

        config = call.engine.config
        attributes: dict[str, Any] = {
            "gen_ai.conversation.id": call.id,
            "gen_ai.provider.name": config.provider,
            "voxengine.route": call.route.name,
            "voxengine.wire": call.wire,
            "voxengine.key_id": call.grant.key_id,
        }
        if config.model:
            attributes["gen_ai.request.model"] = config.model
        trace = CallTrace(
            self._tracer, call.engine, f"call {call.route.name}", attributes, call.started_at
        )
        clock = Clock()

        def over(ended: Call) -> None:
            outcome = outcome_of(ended)
            cost = ended.engine.usage.cost
            final: dict[str, Any] = {"voxengine.outcome": outcome}
            if cost is not None:
                final["voxengine.cost_usd"] = cost
            trace.end(clock.wall(), final, "call_failed" if outcome == "failed" else None)

        call.on_end(over)

    async def close(self) -> None:
        """Send what is left, within a budget. May be called again."""
        provider, self._provider = self._provider, None
        if provider is None:
            return
        closing = asyncio.get_running_loop().run_in_executor(None, provider.shutdown)
        done, _ = await asyncio.wait([closing], timeout=CLOSE_BUDGET)
        if not done:
            logger.warning("the last spans could not be sent within %g s", CLOSE_BUDGET)


def _traces(endpoint: str | None) -> str | None:
    """Where spans go on a collector: the address as OpenTelemetry's own variable has it, without the path."""
    if endpoint is None:
        return None
    if not endpoint.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"[gateway] otel_endpoint begins with http:// or https://, not {endpoint[:40]!r}"
        )
    return endpoint if endpoint.endswith("/v1/traces") else endpoint.rstrip("/") + "/v1/traces"
