"""What a test may let the mock do out of turn: make it say anything of the vocabulary, or fail."""

from __future__ import annotations

from typing import Any

from voxengine import events as ev
from voxengine.audio.level import silence
from voxengine.events import ProviderEvent, event_class
from voxengine.providers.mock.connection import FATAL, MockConnection, error_of

__all__ = ["ByHand"]


class ByHand(MockConnection):
    """Mixed into the mock. All need it to be connected; events come on the loop's next round, as all of the mock's."""

    def simulate_error(
        self, code: str = "server_error", message: str = "", *, retryable: bool = True
    ) -> None:
        """Fail now: "closed" and its like cost the connection, all else fails the response, or stands alone."""
        _, vendor, _ = self._at_work()
        if code in FATAL:
            self._lose(code, 1006, message or code, retryable)
        elif code in ("rate_limit", "quota", "auth") or not vendor.player.fail(
            code, message, retryable
        ):
            vendor.complain(error_of(code, self.name, message))

    def tell(self, event: type[ProviderEvent] | str, **fields: Any) -> None:
        """Send an event of any class or type, with these fields, by the way that all of the mock's events go."""
        wire, _, _ = self._at_work()
        wire.send(event_class(event) if isinstance(event, str) else event, **fields)

    def emit_speech_started(
        self, item_id: str | None = None, audio_ms: float | None = None
    ) -> None:
        """The user began to speak."""
        self.tell(ev.VadSpeechStarted, item_id=item_id, audio_ms=audio_ms)

    def emit_speech_ended(
        self, item_id: str | None = None, audio_ms: float | None = None, lag_ms: float = 0.0
    ) -> None:
        """The user fell silent."""
        self.tell(ev.VadSpeechEnded, item_id=item_id, audio_ms=audio_ms, lag_ms=lag_ms)

    def emit_turn(self, item_id: str | None = None, audio_ms: float | None = None) -> None:
        """The user's turn is over. It is not answered: that is up to the test."""
        self.tell(ev.TurnDetected, item_id=item_id, audio_ms=audio_ms)

    def emit_partial(self, text: str, item_id: str | None = None) -> None:
        """What the user has said so far."""
        self.tell(ev.TranscriptPartial, text=text, item_id=item_id)

    def emit_transcript(self, text: str, item_id: str | None = None) -> None:
        """What the user said."""
        self.tell(ev.TranscriptCompleted, text=text, item_id=item_id)

    def emit_response_started(self, response_id: str) -> None:
        """A response begins, which only the test will end."""
        self.tell(ev.ResponseStarted, response_id=response_id)

    def emit_text(
        self, text: str, item_id: str | None = None, response_id: str | None = None
    ) -> None:
        """Words of the assistant."""
        self.tell(
            ev.TextOutput, text=text, is_partial=True, item_id=item_id, response_id=response_id
        )

    def emit_audio(
        self,
        ms: float,
        item_id: str | None = None,
        response_id: str | None = None,
        audio: bytes | None = None,
    ) -> None:
        """Audio of the assistant: these bytes, or so many milliseconds of silence."""
        _, vendor, _ = self._at_work()
        format = vendor.player.output_format() or self.capabilities.output_formats[0]
        self.tell(
            ev.AudioOutputChunk,
            audio_data=silence(ms, format) if audio is None else audio,
            sample_rate=format.sample_rate,
            encoding=format.encoding,
            item_id=item_id,
            response_id=response_id,
        )

    def emit_response_completed(self, response_id: str) -> None:
        """A response ends well."""
        self.tell(ev.ResponseCompleted, response_id=response_id)

    def emit_response_cancelled(self, response_id: str, reason: str = "turn_detected") -> None:
        """A response is called off."""
        self.tell(ev.ResponseCancelled, response_id=response_id, reason=reason)

    def emit_tool_call(
        self, name: str, arguments: str = "{}", call_id: str = "call_by_hand", **more: Any
    ) -> None:
        """The assistant calls a tool."""
        self.tell(ev.FunctionInvoked, name=name, arguments=arguments, call_id=call_id, **more)

    def emit_rate_limits(self, *limits: ev.RateLimit) -> None:
        """How much the vendor still lets us use."""
        self.tell(ev.RateLimitsUpdated, limits=limits)

    def emit_expiring(self, seconds_left: float, reason: str = "") -> None:
        """The vendor warns that it will end the connection."""
        self.tell(ev.ConnectionExpiring, seconds_left=seconds_left, reason=reason)
