"""One session of the emulated Live API: what comes is judged and obeyed, what goes is judged too."""

from __future__ import annotations

import asyncio
import binascii
import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import pybase64

from voxengine.audio.formats import AudioFormat
from voxengine.clock import Clock
from voxengine.testing.emulators.faults import (
    Drop,
    ErrorOnce,
    Expire,
    Malformed,
    Stall,
    UnknownEvent,
)
from voxengine.testing.emulators.openai_live.speaker import Speaker
from voxengine.testing.emulators.server import Socket

if TYPE_CHECKING:
    from voxengine.testing.emulators.openai_live.emulator import LiveEmulator

__all__ = ["LiveSession"]

_log = logging.getLogger(__name__)

#: Kept of what was wrong in our own messages.
MAX_VIOLATIONS = 100

_ENCODINGS = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}


class LiveSession:
    """The server's side of one connection.

    Attributes:
        config: the session as the client asked for it; None before `session.start`.
        events: all events of the client but audio, in order.
        context: what was appended in mid-conversation, as (channel, text).
    """

    def __init__(self, emulator: LiveEmulator, session_id: str) -> None:
        self.id = session_id
        self.config: dict[str, Any] | None = None
        self.events: list[dict[str, Any]] = []
        self.context: list[tuple[str, str]] = []
        self.emulator = emulator
        self._socket: Socket | None = None
        self._speaker: Speaker | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._start = 0.0
        self._count = 0
        self._stalled = False
        self._muted = False

    # -- the connection

    def on_open(self, socket: Socket) -> None:
        """The handshake is done: the client is to start the session."""
        self._socket = socket
        for delay, fault in self.emulator.faults.connected():
            self._later(f"fault {len(self._timers)}", delay, self.strike, fault)

    def on_close(self) -> None:
        """The connection is gone."""
        self._socket = None
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._speaker is not None:
            self._speaker.close()

    def on_message(self, message: str | bytes) -> None:
        """An event of the client."""
        problems = self.emulator.judge.client(message)
        if problems:
            self.error("invalid_request_error", "invalid_value", problems[0])
            return
        event = msgspec.json.decode(message)
        kind = event["type"]
        if kind != "session.input_audio.append":
            self.events.append(event)
        if self.config is None and kind != "session.start":
            self.error("invalid_request_error", "session_not_started", "send session.start first")
            return
        command = _COMMANDS.get(kind)
        if command is None:
            self.error("invalid_request_error", "unsupported", f"no {kind} is emulated")
        else:
            command(self, event)

    # -- out

    def now_ms(self) -> int:
        """The place on the session's time line."""
        return round((asyncio.get_running_loop().time() - self._start) * 1000)

    def send(self, kind: str, **fields: Any) -> None:
        """Send an event, judged."""
        event = {"type": kind, **fields}
        if kind != "session.output_audio.delta":
            self._count += 1
            event["event_id"] = f"{self.id}_event_{self._count}"
        message = json.dumps(event)
        for problem in self.emulator.judge.server(message)[:MAX_VIOLATIONS]:
            if len(self.emulator.violations) < MAX_VIOLATIONS:
                self.emulator.violations.append(f"{kind}: {problem}")
        self.send_raw(message)

    def send_raw(self, message: str) -> None:
        """Send text as it is."""
        if self._socket is not None and not self._stalled:
            self._socket.send(message)

    def error(self, kind: str, code: str, message: str) -> None:
        """Send an error event."""
        self.send("error", error={"type": kind, "code": code, "message": message})

    def strike(self, fault: Any) -> None:
        """Let something go wrong."""
        match fault:
            case Drop(close_code=code, reason=reason):
                self._end(1006 if code is None else code, reason)
            case Expire(close_code=code):
                self._close_session("expired", code)
            case Stall():
                self._stalled = True
            case ErrorOnce(code=code, message=message):
                self.error("server_error", code, message)
            case UnknownEvent(event_type=name):
                self.send_raw(json.dumps({"type": name, "event_id": "e", "mood": "sunny"}))
            case Malformed(text=text):
                self.send_raw(text)
            case _:
                _log.warning("the Live emulator has no fault %s", type(fault).__name__)

    # -- commands

    def _on_start(self, event: dict[str, Any]) -> None:
        if self.config is not None:
            self.error("invalid_request_error", "session_already_started", "it has started")
            return
        self.config = event["session"]
        self._start = asyncio.get_running_loop().time()
        wanted = (self.config.get("audio") or {}).get("format") or {
            "type": "audio/pcm",
            "rate": 24000,
        }
        format = AudioFormat(_ENCODINGS[wanted["type"]], wanted["rate"])
        self._speaker = Speaker(self, format)
        settings = self.emulator.settings
        self.send("session.started", session=self._resource())
        self._later("usage", settings.usage_every_s, self._report_usage)
        self._later("expiry", settings.session_s, self._close_session, "expired", 1001)
        if settings.greeting:
            self._speaker.say(settings.greeting)

    def _on_audio(self, event: dict[str, Any]) -> None:
        try:
            audio = pybase64.b64decode(event["audio"], validate=True)
        except binascii.Error:
            self.error("invalid_request_error", "invalid_audio", "the audio is no base64")
            return
        if self._speaker is not None and not self._muted:
            self._speaker.hear(audio)

    def _on_append(self, event: dict[str, Any]) -> None:
        channel, content = event["type"].split(".")[1], event["content"]
        task_id = event.get("delegation_id")
        assert self._speaker is not None
        if task_id is not None and task_id not in self._speaker.tasks:
            self.error("invalid_request_error", "delegation_not_found", f"no task {task_id}")
            return
        self.context.append((channel, content))
        at = self.now_ms()
        self.send(f"session.{channel}.appended", start_ms=at, end_ms=at)
        if channel == "commentary":
            self._speaker.comment(content, task_id)
        elif task_id is not None:
            self._speaker.tasks[task_id].silent += content

    def _on_mute(self, event: dict[str, Any]) -> None:
        self._muted = event["type"].endswith(".mute")
        self.send(f"session.input_audio.{'muted' if self._muted else 'unmuted'}")

    def _on_close(self, _: dict[str, Any]) -> None:
        self._close_session("close_requested", 1000)

    # -- time

    def _report_usage(self) -> None:
        self.send("session.usage.updated", usage=self._usage(), context_window={"usage_ratio": 0.1})
        self._later("usage", self.emulator.settings.usage_every_s, self._report_usage)

    def _close_session(self, reason: str, code: int) -> None:
        if self.config is not None:
            self.send(
                "session.closed", reason=reason, session=self._resource(), usage=self._usage()
            )
        self._end(code, reason)

    def _end(self, code: int, reason: str) -> None:
        socket = self._socket
        if self._speaker is not None:
            self._speaker.close()
        if socket is not None:
            socket.kill() if code == 1006 else socket.close(code, reason)

    def _usage(self) -> dict[str, float]:
        return {"seconds": self.now_ms() / 1000}

    def _resource(self) -> dict[str, Any]:
        expires = Clock().wall() + self.emulator.settings.session_s
        return {
            **(self.config or {}),
            "id": self.id,
            "expires_at": int(expires),
            "status": "active",
        }

    def _later(self, name: str, seconds: float, call: Callable[..., None], *args: Any) -> None:
        loop = asyncio.get_running_loop()
        self._timers[name] = loop.call_later(seconds, call, *args)


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
