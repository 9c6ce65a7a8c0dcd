"""Spans of calls, as OpenTelemetry's own exporter and a collector's receiver see them."""

from __future__ import annotations

import asyncio
import builtins
import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from tests.gateway.gateways import ANYONE, config, running
from voxengine import events as ev
from voxengine.errors import ConfigurationError, MissingDependencyError
from voxengine.events import EventBus
from voxengine.gateway.gateway import Gateway
from voxengine.gateway.observing.spans import VARIABLES, Spans
from voxengine.observe.tracing import CallTrace
from voxengine.providers.mock import MockProvider

TOOLS = [
    {"name": name, "function": f"tests.gateway.operators.test_metrics:{name}"}
    for name in ("broken", "fine")
]


@pytest.fixture(autouse=True)
def no_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def kept(gateway: Gateway) -> InMemorySpanExporter:
    """Let the gateway's spans be kept in memory."""
    exporter = InMemorySpanExporter()
    gateway.observing.spans = Spans(SimpleSpanProcessor(exporter))
    return exporter


def by_name(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


def lasted(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9


def parent(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


async def test_a_call_and_its_turns() -> None:
    async with running() as gateway:
        exporter = kept(gateway)
        call = await gateway.open_call(wire="websocket", model="play", grant=ANYONE)
        await call.engine.send_text("hello")
        await asyncio.sleep(5)
        assert [span.name for span in exporter.get_finished_spans()] == ["chat"]
        await call.end()
    spans = by_name(exporter)
    whole, turn = spans["call play"], spans["chat"]
    assert whole.attributes is not None
    assert turn.attributes is not None
    assert whole.kind is SpanKind.SERVER
    assert whole.attributes["gen_ai.conversation.id"] == call.id
    assert whole.attributes["voxengine.route"] == "play"
    assert whole.attributes["voxengine.outcome"] == "completed"
    assert whole.status.status_code is StatusCode.UNSET
    assert lasted(whole) == pytest.approx(5.0, abs=0.01)
    assert whole.context is not None
    assert parent(turn) == whole.context.span_id
    assert turn.attributes["gen_ai.operation.name"] == "chat"
    assert turn.attributes["gen_ai.provider.name"] == "mock"
    assert turn.attributes["gen_ai.response.finish_reasons"] == ("completed",)
    assert turn.attributes["voxengine.first_audio_ms"] == 0.0
    assert {"first_token", "first_audio", "first_audible"} <= {e.name for e in turn.events}
    # Until it was heard to its end, not only until it had come.
    assert lasted(turn) == pytest.approx(1.05, abs=0.01)
    everything = "".join(span.to_json() for span in spans.values())
    assert "hello" not in everything
    assert call.session_id not in everything


async def test_tools_switches_and_interruptions() -> None:
    content = {"routes": {"play": {"providers": ["mock"], "tools": TOOLS}}}
    async with running(content) as gateway:
        exporter = kept(gateway)
        call = await gateway.open_call(wire="websocket", model="play", grant=ANYONE)
        mock = call.engine.provider
        assert isinstance(mock, MockProvider)
        for name in ("broken", "fine"):
            mock.emit_tool_call(name, call_id=f"call_{name}")
            await asyncio.sleep(5)
        await call.engine.switch_provider("mock")
        await call.engine.send_text("hello")
        await asyncio.sleep(0.5)
        await call.engine.interrupt()
        await call.end("the provider is lost", 1011)
    spans = by_name(exporter)
    fine, broken = spans["execute_tool fine"], spans["execute_tool broken"]
    assert fine.attributes is not None
    assert broken.attributes is not None
    assert fine.attributes["gen_ai.tool.call.id"] == "call_fine"
    assert fine.status.status_code is StatusCode.UNSET
    assert broken.attributes["error.type"] == "raised"
    assert broken.status.status_code is StatusCode.ERROR
    switch = spans["switch_provider"].attributes
    assert switch is not None
    assert (switch["voxengine.previous_provider"], switch["voxengine.reason"]) == (
        "mock",
        "request",
    )
    assert "interrupted" in {event.name for event in spans["chat"].events}
    assert spans["call play"].status.status_code is StatusCode.ERROR


def test_a_turn_goes_on_until_its_answer_is_over() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    bus = EventBus()
    trace = CallTrace(provider.get_tracer("test"), bus, "call", {}, 100.0)

    def publish(at: float, kind: type[ev.ProviderEvent], **values: Any) -> None:
        bus.publish(kind(timestamp=at, provider="far", **values))

    publish(101.0, ev.VadSpeechStarted)
    publish(103.0, ev.VadSpeechEnded, lag_ms=500.0)
    publish(103.2, ev.TurnDetected)
    publish(103.3, ev.ResponseStarted, response_id="one")
    publish(103.4, ev.FunctionInvoked, call_id="a", name="find")
    publish(103.5, ev.ResponseCompleted, response_id="one")
    publish(103.6, ev.StateChanged, state="idle")  # its tool is still running
    publish(104.0, ev.FunctionCompleted, call_id="a", name="find")
    publish(104.1, ev.ResponseStarted, response_id="two")
    publish(104.2, ev.MetricsUpdated, response_id="two", first_audio_ms=1600.0)
    publish(104.3, ev.UsageUpdated, model="m", input_audio_tokens=7, output_text_tokens=3)
    publish(105.0, ev.StateChanged, state="listening")  # the user speaks; what that does follows
    assert "chat" not in by_name(exporter)
    publish(105.1, ev.ResponseCancelled, response_id="two", reason="turn_detected")
    publish(105.2, ev.ConversationInterrupted, heard_ms=800.0)
    publish(105.3, ev.StateChanged, state="listening")
    trace.end(110.0, {})
    trace.end(111.0, {})

    spans = by_name(exporter)
    turn, tool = spans["chat"], spans["execute_tool find"]
    assert turn.attributes is not None
    assert turn.context is not None
    # From the acoustic end of the speech on.
    assert (turn.start_time, turn.end_time) == (102_500_000_000, 105_300_000_000)
    assert parent(tool) == turn.context.span_id
    assert lasted(tool) == pytest.approx(0.6)
    assert turn.attributes["gen_ai.response.id"] == "two"
    assert turn.attributes["gen_ai.response.finish_reasons"] == ("cancelled",)
    assert turn.attributes["gen_ai.usage.input_tokens"] == 7
    assert turn.attributes["gen_ai.usage.output_tokens"] == 3
    stages = {event.name: event.timestamp for event in turn.events}
    assert stages["first_audio"] == 104_100_000_000
    assert "interrupted" in stages
    assert lasted(spans["call"]) == pytest.approx(10.0)
    provider.shutdown()


class Collector:
    """A receiver of OTLP by HTTP."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, ExportTraceServiceRequest]] = []
        collector = self

        class Receiver(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                message = ExportTraceServiceRequest.FromString(body)
                collector.requests.append((self.path, message))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *values: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    @contextmanager
    def running(self) -> Iterator[Collector]:
        self._thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    @property
    def names(self) -> set[str]:
        return {
            span.name
            for _, message in self.requests
            for resource in message.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }


@pytest.mark.real_clock
@pytest.mark.parametrize("by", ["configuration", "environment"])
async def test_a_collector_gets_them(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Collector().running() as collector:
        own: dict[str, Any] = {"otel_endpoint": collector.url}
        if by == "environment":
            own = {}
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        async with running(**own) as gateway:
            call = await gateway.open_call(wire="websocket", model="play", grant=ANYONE)
            await call.engine.send_text("hello")
            await call.end()
        assert collector.names == {"call play", "chat"}
        assert {path for path, _ in collector.requests} == {"/v1/traces"}
        resource = collector.requests[0][1].resource_spans[0].resource
        names = {a.key: a.value.string_value for a in resource.attributes}
        assert names["service.name"] == "voxengine"


@pytest.mark.real_clock
async def test_a_collector_that_is_not_there_holds_nobody_up() -> None:
    async with running(otel_endpoint="http://127.0.0.1:9") as gateway:
        call = await gateway.open_call(wire="websocket", model="play", grant=ANYONE)
        await call.engine.send_text("hello")
        began = asyncio.get_running_loop().time()
        await call.end()
        assert asyncio.get_running_loop().time() - began < 2


async def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ImportError(f"no module named {name}")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    Gateway(config()).gatekeeper.close()  # nobody wants spans: nothing is missing
    with pytest.raises(MissingDependencyError, match=r"voxengine\[otel\]"):
        Gateway(config(otel_endpoint="http://localhost:4318"))


async def test_an_address_that_is_none() -> None:
    with pytest.raises(ConfigurationError, match="otel_endpoint"):
        Gateway(config(otel_endpoint="localhost:4318"))
