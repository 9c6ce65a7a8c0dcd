"""What happened in a conversation, from its events: latencies, tools, interruptions, trouble."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from voxengine.events import (
    ConversationInterrupted,
    ErrorGeneral,
    EventType,
    FunctionCompleted,
    FunctionFailed,
    FunctionInvoked,
    MetricsUpdated,
    SystemWarning,
)

if TYPE_CHECKING:
    from voxengine.engine import VoiceEngine

__all__ = ["STAGES", "Figures", "Turn"]

#: The stages of a turn, in order, and what they are called on the screen.
STAGES = {
    "turn_decided_ms": "turn decided",
    "transcript_ms": "transcript",
    "first_token_ms": "first token",
    "first_audio_ms": "first audio",
    "first_audible_ms": "first audible",
}


class Turn(msgspec.Struct):
    """The latencies of one answer, and which items of the conversation they belong to."""

    metrics: MetricsUpdated
    user_text: str
    #: Whether the user spoke; else the milliseconds count from the sending of the text.
    spoken: bool

    def as_dict(self) -> dict[str, Any]:
        """The stages in milliseconds after the end of the user's speech."""
        stages = {name: getattr(self.metrics, name) for name in STAGES}
        return {"end_of_speech_ms": 0.0, **stages, "user": self.user_text, "spoken": self.spoken}


class Figures:
    """Subscribes to an engine; read it when the conversation is over."""

    def __init__(self, engine: VoiceEngine) -> None:
        self._engine = engine
        self.turns: list[Turn] = []
        self.calls: dict[str, dict[str, Any]] = {}
        self.interruptions: list[ConversationInterrupted] = []
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self._typed: set[str | None] = set()
        engine.on(EventType.TEXT_INPUT, lambda event: self._typed.add(event.item_id))
        engine.on(EventType.METRICS_UPDATED, self._turn)
        engine.on(EventType.FUNCTION_INVOKED, self._invoked)
        engine.on((EventType.FUNCTION_COMPLETED, EventType.FUNCTION_FAILED), self._returned)
        engine.on(EventType.FUNCTION_CANCELLED, self._cancelled)
        engine.on(EventType.CONVERSATION_INTERRUPTED, self.interruptions.append)
        engine.on((EventType.ERROR_GENERAL, EventType.RESPONSE_ERROR), self._error)
        engine.on(EventType.SYSTEM_WARNING, self._warning)

    def _turn(self, event: MetricsUpdated) -> None:
        log = self._engine.conversation
        answer = log.get(event.item_id)
        user = log.get(answer.turn_id) if answer is not None else None
        words = user.text if user is not None else ""
        self.turns.append(Turn(event, words, user is None or user.id not in self._typed))

    def _invoked(self, event: FunctionInvoked) -> None:
        try:
            arguments = msgspec.json.decode(event.arguments or "{}")
        except msgspec.DecodeError:
            arguments = event.arguments
        self.calls[event.call_id] = {"name": event.name, "arguments": arguments, "status": "open"}

    def _returned(self, event: FunctionCompleted | FunctionFailed) -> None:
        call = self.calls.setdefault(event.call_id, {"name": event.name, "arguments": None})
        call["duration_ms"] = round(event.duration_ms, 1)
        if isinstance(event, FunctionCompleted):
            call.update(status="completed", output=_decoded(event.output))
        else:
            call.update(status=event.code, error=event.error)

    def _cancelled(self, event: Any) -> None:
        call = self.calls.setdefault(event.call_id, {"name": event.name, "arguments": None})
        call["status"] = "cancelled"

    def _error(self, event: ErrorGeneral) -> None:
        self.errors.append(event.error or event.code)

    def _warning(self, event: SystemWarning) -> None:
        self.warnings.append(event.message or event.code)

    def as_dict(self) -> dict[str, Any]:
        """All of it, as plain data."""
        engine = self._engine
        return {
            "provider": engine.config.provider,
            "mode": engine.config.mode,
            "turns": [turn.as_dict() for turn in self.turns],
            "tools": list(self.calls.values()),
            "interruptions": [
                {
                    "item_id": cut.item_id,
                    "reason": cut.reason,
                    "heard_ms": round(cut.heard_ms, 1),
                    "heard_text": cut.heard_text,
                }
                for cut in self.interruptions
            ],
            "usage": engine.usage.as_dict(),
            "errors": self.errors,
            "warnings": self.warnings,
        }


def _decoded(output: str) -> Any:
    try:
        return msgspec.json.decode(output)
    except msgspec.DecodeError:
        return output
