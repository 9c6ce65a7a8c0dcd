"""One session of the emulated Live API: what comes is obeyed, what the model does is told in the vendor's words."""

from __future__ import annotations

import binascii
from collections.abc import Callable, Sequence
from typing import Any

import pybase64

from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.clock import Clock
from voxengine.providers.cascade.parts import SpokenWord
from voxengine.testing.emulators.faults import ErrorOnce
from voxengine.testing.emulators.model import Call, ScriptedModel
from voxengine.testing.emulators.vendor_session import VendorSession

__all__ = ["LiveSession"]

_ENCODINGS = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}


class LiveSession(VendorSession):
    """The server's side of one connection.

    Attributes:
        config: the session as the client asked for it; None before `session.start`.
        context: what was appended in mid-conversation, as (channel, text).
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.config: dict[str, Any] | None = None
        self.context: list[tuple[str, str]] = []
        #: Tasks that were delegated: what came of each silently.
        self._tasks: dict[str, str] = {}
        self._muted = False
        self._started_ms = self._count = 0
        #: Where the user's turn began, and how many of its words were told.
        self._turn_ms = self._told = 0
        #: Where the answer's first audio is, None before it.
        self._speech_ms: int | None = None

    # -- out

    def now(self) -> int:
        """The place on the session's time line, in milliseconds."""
        return round(self.now_ms()) - self._started_ms

    def tell(self, kind: str, **fields: Any) -> None:
        """Send an event."""
        event = {"type": kind, **fields}
        if kind != "session.output_audio.delta":
            self._count += 1
            event["event_id"] = f"{self.id}_event_{self._count}"
        self.send(event)

    def complain(self, code: str, message: str) -> None:
        """Say that what the client wants is wrong."""
        self._error("invalid_request_error", code, message)

    def error(self, code: str, message: str) -> None:
        """Say that something has failed here."""
        self._error("server_error", code, message)

    def invalid(self, problems: Sequence[str], message: Any) -> None:
        """A message that is not valid is refused, and the session goes on."""
        self.complain("invalid_value", problems[0])

    def expiry_messages(self) -> list[dict[str, Any]]:
        """What is said at the end of a session."""
        if self.config is not None:
            self._say_closed("expired")
        return []

    def strike(self, fault: Any) -> None:
        """Let something go wrong. An error ends nothing here: there are no answers that could fail."""
        if isinstance(fault, ErrorOnce):
            self.error(fault.code, fault.message)
        else:
            super().strike(fault)

    def unknown_message(self, kind: str) -> dict[str, Any]:
        """An event of a type that no client knows yet."""
        return {"type": kind, "event_id": "e", "mood": "sunny"}

    # -- commands

    def received(self, message: dict[str, Any]) -> None:
        """An event of the client."""
        kind = message["type"]
        if self.config is None and kind != "session.start":
            self.complain("session_not_started", "send session.start first")
            return
        command = _COMMANDS.get(kind)
        if command is None:
            self.complain("unsupported", f"no {kind} is emulated")
        else:
            command(self, message)

    def is_audio(self, message: Any) -> bool:
        """Whether it is the user's audio."""
        return bool(message["type"] == "session.input_audio.append")

    def received_audio(self, audio: bytes) -> None:
        """Binary messages there are none."""
        self.complain("invalid_value", "a message is JSON text")

    def _on_start(self, event: dict[str, Any]) -> None:
        if self.config is not None:
            self.complain("session_already_started", "it has started")
            return
        self.config = event["session"]
        self._started_ms = round(self.now_ms())
        wanted = (self.config.get("audio") or {}).get("format") or {
            "type": "audio/pcm",
            "rate": 24000,
        }
        format = AudioFormat(_ENCODINGS[wanted["type"]], wanted["rate"])
        model = self.make_model(format, format)
        # A task is one, whatever it takes: which tools there are is the client's business.
        model.tools, model.parallel = None, False
        settings = self.emulator.settings
        self.tell("session.started", session=self._resource())
        self.later("usage", settings.usage_every_s, self._report_usage)
        self.later("expiry", settings.session_s, self._close_session, "expired", 1001)
        if settings.sends_silence:
            self._be_silent(model)
        model.greet()

    def _on_audio(self, event: dict[str, Any]) -> None:
        try:
            audio = pybase64.b64decode(event["audio"], validate=True)
        except binascii.Error:
            self.complain("invalid_audio", "the audio is no base64")
            return
        if not self._muted:
            self._model.hear(audio)

    def _on_append(self, event: dict[str, Any]) -> None:
        channel, content = event["type"].split(".")[1], event["content"]
        task_id = event.get("delegation_id")
        if task_id is not None and task_id not in self._tasks:
            self.complain("delegation_not_found", f"no task {task_id}")
            return
        self.context.append((channel, content))
        at = self.now()
        self.tell(f"session.{channel}.appended", start_ms=at, end_ms=at)
        if task_id is None:
            if channel == "commentary":
                self._model.say(content)
        elif channel != "commentary":
            self._tasks[task_id] += content
        elif not self._model.tool_result(task_id, self._tasks[task_id] + content):
            self._model.say(content)

    def _on_mute(self, event: dict[str, Any]) -> None:
        self._muted = event["type"].endswith(".mute")
        self.tell(f"session.input_audio.{'muted' if self._muted else 'unmuted'}")

    def _on_close(self, _: dict[str, Any]) -> None:
        self._close_session("close_requested", 1000)

    # -- told by the model

    def on_speech_started(self, audio_ms: float) -> None:
        """A turn began; nothing is said of it, but its words have a place."""
        self._turn_ms, self._told = self.now(), 0

    def on_user_partial(self, text: str) -> None:
        """The words that were not told yet."""
        words = text.split()
        new, self._told = words[self._told :], max(self._told, len(words))
        if new:
            self.tell(
                "session.input_transcript.delta",
                delta=" ".join(new) + " ",
                start_ms=self._turn_ms,
                end_ms=self.now(),
            )

    def on_user_text(self, text: str) -> None:
        """The last words of a turn."""
        self.on_user_partial(text)

    def on_reply_started(self, reply_id: str) -> None:
        """An answer begins somewhere on the time line."""
        self._speech_ms = None

    def on_words(self, text: str, start_ms: float, end_ms: float) -> None:
        """A word, and where it is."""
        if self._speech_ms is None:
            self._speech_ms = self.now()
        self.tell(
            "session.output_transcript.delta",
            delta=text,
            start_ms=self._speech_ms + round(start_ms),
            end_ms=self._speech_ms + round(end_ms),
        )

    def on_audio(self, audio: bytes, words: Sequence[SpokenWord]) -> None:
        """Some audio."""
        self.tell("session.output_audio.delta", delta=pybase64.b64encode(audio).decode())

    def on_tool_calls(self, calls: list[Call]) -> None:
        """A task is handed over."""
        task_id = calls[0].id
        self._tasks[task_id] = ""
        self.tell(
            "session.delegation.created",
            offset_ms=self.now(),
            delegation={"id": task_id, "type": "delegation", "target": "client"},
        )

    # -- inside

    @property
    def _model(self) -> ScriptedModel:
        assert self.model is not None
        return self.model

    def _error(self, kind: str, code: str, message: str) -> None:
        self.tell("error", error={"type": kind, "code": code, "message": message})

    def _be_silent(self, model: ScriptedModel) -> None:
        chunk_ms = model.settings.chunk_ms
        if model.active is None:
            self.on_audio(silence(chunk_ms, model.output), ())
        self.later("silence", chunk_ms / 1000, self._be_silent, model)

    def _report_usage(self) -> None:
        self.tell("session.usage.updated", usage=self._usage(), context_window={"usage_ratio": 0.1})
        self.later("usage", self.emulator.settings.usage_every_s, self._report_usage)

    def _say_closed(self, reason: str) -> None:
        self.tell("session.closed", reason=reason, session=self._resource(), usage=self._usage())

    def _close_session(self, reason: str, code: int) -> None:
        self._say_closed(reason)
        self.end(code, reason)

    def _usage(self) -> dict[str, float]:
        return {"seconds": self.now() / 1000}

    def _resource(self) -> dict[str, Any]:
        expires = Clock().wall() + self.emulator.settings.session_s
        return {
            **(self.config or {}),
            "id": self.id,
            "expires_at": int(expires),
            "status": "active",
        }


_COMMANDS: dict[str, Callable[[LiveSession, dict[str, Any]], None]] = {
    "session.start": LiveSession._on_start,
    "session.input_audio.append": LiveSession._on_audio,
    "session.input_audio.mute": LiveSession._on_mute,
    "session.input_audio.unmute": LiveSession._on_mute,
    "session.instructions.append": LiveSession._on_append,
    "session.thinking.append": LiveSession._on_append,
    "session.commentary.append": LiveSession._on_append,
    "session.close": LiveSession._on_close,
}
