"""Spans of a conversation for OpenTelemetry: the call, its turns with the stages of the waterfall, tools, switches.

    call            the whole conversation
      chat          a turn: from the end of the user's speech until its answer was heard or cut
        execute_tool NAME
      switch_provider, reconnect

Names of attributes are those of the semantic conventions for generative AI where there are any (`gen_ai.*`), else
`voxengine.*`. No words of anybody are in them. Needs the extra `otel`; a span's times are those of the events.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from voxengine import events as ev
from voxengine.observe.metrics import STAGES
from voxengine.observe.watched import Watched

__all__ = ["CallTrace"]

#: States in which no answer is under way or heard.
_QUIET = ("idle", "listening", "closed", "disconnected")
_OPERATION = "gen_ai.operation.name"
_PROVIDER = "gen_ai.provider.name"

Attributes = Mapping[str, str | int | float | bool]


class _Turn:
    """A turn that is not over."""

    def __init__(self, span: Span, began: float) -> None:
        self.span = span
        self.began = began
        #: Whether it was answered, as far as is known: a call of a tool may be followed by another response.
        self.answered = False
        self.tokens = {"input": 0, "output": 0}


class CallTrace:
    """Makes the spans of one conversation, until `end`.

    Args:
        tracer: makes the spans.
        engine: what is followed.
        name: of the span of the call.
        attributes: of the span of the call.
        began: Unix time.
    """

    def __init__(
        self, tracer: Tracer, engine: Watched, name: str, attributes: Attributes, began: float
    ) -> None:
        self._tracer = tracer
        self._call = tracer.start_span(
            name, kind=SpanKind.SERVER, start_time=_ns(began), attributes=dict(attributes)
        )
        self._turn: _Turn | None = None
        self._tools: dict[str, Span] = {}
        #: When the user fell silent, in Unix time, where the turn is not over yet.
        self._silent_at: float | None = None
        self._subscriptions = [
            engine.on((kind,), handler)
            for kind, handler in (
                (ev.VadSpeechStarted, self._spoke),
                (ev.VadSpeechEnded, self._fell_silent),
                (ev.TurnDetected, self._turn_over),
                (ev.TextInput, self._typed),
                (ev.ResponseStarted, self._response_began),
                (ev.ResponseCompleted, self._response_ended),
                (ev.ResponseCancelled, self._response_ended),
                (ev.ResponseError, self._response_ended),
                (ev.StateChanged, self._state_changed),
                (ev.MetricsUpdated, self._measured),
                (ev.UsageUpdated, self._used),
                (ev.ConversationInterrupted, self._interrupted),
                (ev.FunctionInvoked, self._tool_called),
                (ev.FunctionCompleted, self._tool_ended),
                (ev.FunctionFailed, self._tool_ended),
                (ev.FunctionCancelled, self._tool_ended),
                (ev.ProviderSwitched, self._switched),
                (ev.ConnectionLost, self._lost),
                (ev.ConnectionRestored, self._restored),
                (ev.ErrorGeneral, self._failed),
            )
        ]

    def end(self, at: float, attributes: Attributes, failure: str | None = None) -> None:
        """The conversation is over; `failure` is why, if it ought not to be. May be called again."""
        if not self._subscriptions:
            return
        for subscription in self._subscriptions:
            subscription.cancel()
        self._subscriptions.clear()
        for span in self._tools.values():
            span.end(_ns(at))
        self._tools.clear()
        self._close(at)
        self._call.set_attributes(dict(attributes))
        if failure is not None:
            self._call.set_attribute("error.type", failure)
            self._call.set_status(Status(StatusCode.ERROR))
        self._call.end(_ns(at))

    # -- turns

    def _spoke(self, event: ev.VadSpeechStarted) -> None:
        self._silent_at = None

    def _fell_silent(self, event: ev.VadSpeechEnded) -> None:
        self._silent_at = event.timestamp - event.lag_ms / 1000

    def _turn_over(self, event: ev.TurnDetected) -> None:
        began = event.timestamp if self._silent_at is None else self._silent_at
        self._silent_at = None
        self._begin(began, event.timestamp, event.provider)

    def _typed(self, event: ev.TextInput) -> None:
        if event.role == "user" and (self._turn is None or self._turn.answered):
            self._begin(event.timestamp, event.timestamp, event.provider)

    def _begin(self, began: float, at: float, provider: str) -> None:
        self._close(at)
        span = self._child(
            "chat", began, SpanKind.CLIENT, {_OPERATION: "chat", _PROVIDER: provider}
        )
        self._turn = _Turn(span, began)

    def _response_began(self, event: ev.ResponseStarted) -> None:
        if self._turn is None:
            self._begin(event.timestamp, event.timestamp, event.provider)
        assert self._turn is not None
        self._turn.answered = False
        self._turn.span.set_attribute(_PROVIDER, event.provider)
        if event.response_id is not None:
            self._turn.span.set_attribute("gen_ai.response.id", event.response_id)

    def _response_ended(
        self, event: ev.ResponseCompleted | ev.ResponseCancelled | ev.ResponseError
    ) -> None:
        turn = self._turn
        if turn is None:
            return
        turn.answered = True
        reason = "cancelled"
        if isinstance(event, ev.ResponseCompleted):
            reason = event.reason or event.status
        elif isinstance(event, ev.ResponseError):
            reason = "error"
            turn.span.set_attribute("error.type", event.code)
            turn.span.set_status(Status(StatusCode.ERROR))
        turn.span.set_attribute("gen_ai.response.finish_reasons", [reason])

    def _state_changed(self, event: ev.StateChanged) -> None:
        turn = self._turn
        if turn is not None and turn.answered and not self._tools and event.state in _QUIET:
            self._close(event.timestamp)

    def _close(self, at: float) -> None:
        turn, self._turn = self._turn, None
        if turn is None:
            return
        for name, tokens in turn.tokens.items():
            if tokens:
                turn.span.set_attribute(f"gen_ai.usage.{name}_tokens", tokens)
        turn.span.end(_ns(max(at, turn.began)))

    # -- what is known of a turn

    def _measured(self, event: ev.MetricsUpdated) -> None:
        turn = self._turn
        if turn is None:
            return
        for stage in STAGES:
            ms = getattr(event, stage)
            if ms is not None:
                name = stage.removesuffix("_ms")
                turn.span.set_attribute(f"voxengine.{stage}", ms)
                turn.span.add_event(name, timestamp=_ns(turn.began + ms / 1000))
        if event.first_audio_ms is not None:
            turn.span.set_attribute(
                "gen_ai.response.time_to_first_chunk", event.first_audio_ms / 1000
            )

    def _used(self, event: ev.UsageUpdated) -> None:
        turn = self._turn
        if turn is None:
            return
        if event.model:
            turn.span.set_attribute("gen_ai.response.model", event.model)
        turn.tokens["input"] += (
            event.input_text_tokens + event.input_audio_tokens + event.input_image_tokens
        )
        turn.tokens["output"] += event.output_text_tokens + event.output_audio_tokens

    def _interrupted(self, event: ev.ConversationInterrupted) -> None:
        self._note(
            "interrupted", event, {"voxengine.heard_ms": event.heard_ms, "reason": event.reason}
        )

    def _lost(self, event: ev.ConnectionLost) -> None:
        self._note("connection_lost", event, {"error.type": event.code, _PROVIDER: event.provider})

    def _failed(self, event: ev.ErrorGeneral) -> None:
        self._note("error", event, {"error.type": event.code, _PROVIDER: event.provider})

    def _note(self, name: str, event: ev.ProviderEvent, attributes: Attributes) -> None:
        span = self._call if self._turn is None else self._turn.span
        span.add_event(name, dict(attributes), _ns(event.timestamp))

    # -- tools

    def _tool_called(self, event: ev.FunctionInvoked) -> None:
        self._tools[event.call_id] = self._child(
            f"execute_tool {event.name}",
            event.timestamp,
            SpanKind.INTERNAL,
            {
                _OPERATION: "execute_tool",
                "gen_ai.tool.name": event.name,
                "gen_ai.tool.call.id": event.call_id,
                "gen_ai.tool.type": "function",
            },
        )

    def _tool_ended(
        self, event: ev.FunctionCompleted | ev.FunctionFailed | ev.FunctionCancelled
    ) -> None:
        span = self._tools.pop(event.call_id, None)
        if span is None:
            return
        if isinstance(event, ev.FunctionFailed):
            span.set_attribute("error.type", event.code)
            span.set_status(Status(StatusCode.ERROR))
        elif isinstance(event, ev.FunctionCancelled):
            span.set_attribute("voxengine.cancelled", True)
        span.end(_ns(event.timestamp))

    # -- the provider

    def _switched(self, event: ev.ProviderSwitched) -> None:
        self._outage(
            "switch_provider",
            event,
            event.outage_ms,
            {
                _PROVIDER: event.provider,
                "voxengine.previous_provider": event.previous,
                "voxengine.reason": event.reason,
                "voxengine.items": event.items,
                "voxengine.audio_lost_ms": event.audio_lost_ms,
                **({"error.type": event.code} if event.code else {}),
            },
        )

    def _restored(self, event: ev.ConnectionRestored) -> None:
        self._outage(
            "reconnect",
            event,
            event.outage_ms,
            {
                _PROVIDER: event.provider,
                "voxengine.reason": event.reason,
                "voxengine.attempts": event.attempts,
                "voxengine.audio_lost_ms": event.audio_lost_ms,
            },
        )

    def _outage(
        self, name: str, event: ev.ProviderEvent, outage_ms: float, attributes: Attributes
    ) -> None:
        span = self._tracer.start_span(
            name,
            trace.set_span_in_context(self._call),
            SpanKind.INTERNAL,
            dict(attributes),
            start_time=_ns(event.timestamp - outage_ms / 1000),
        )
        span.end(_ns(event.timestamp))

    # -- inside

    def _child(self, name: str, began: float, kind: SpanKind, attributes: dict[str, Any]) -> Span:
        parent = self._call if self._turn is None or name == "chat" else self._turn.span
        context = trace.set_span_in_context(parent)
        return self._tracer.start_span(name, context, kind, attributes, start_time=_ns(began))


def _ns(at: float) -> int:
    return int(at * 1_000_000_000)
