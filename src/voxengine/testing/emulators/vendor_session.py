"""The server's side of one connection to an emulated vendor: what comes is judged, what goes is judged, faults strike.

A vendor derives from `VendorSession`, and writes what comes from the client into its model (`received`), and what the
model tells (the `on_...` methods of `ModelListener`, which do nothing here) into its vendor's messages.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from voxengine.audio.formats import AudioFormat
from voxengine.net.http1 import Request
from voxengine.providers.cascade.parts import SpokenWord
from voxengine.testing.emulators.faults import (
    Drop,
    ErrorOnce,
    Expire,
    Lag,
    Malformed,
    Oversized,
    Stall,
    UnknownEvent,
)
from voxengine.testing.emulators.model import ScriptedModel
from voxengine.testing.emulators.model_types import Call
from voxengine.testing.emulators.wire_out import Link, WireOut

if TYPE_CHECKING:
    from voxengine.testing.emulators.vendor import VendorEmulator

__all__ = ["MAX_EVENTS", "VendorSession"]

_log = logging.getLogger(__name__)

#: Messages of the client that are remembered.
MAX_EVENTS = 10_000


class VendorSession:
    """One session. Made when the client asks for it, and used as the handler of its connection.

    Attributes:
        id: its name.
        request: the request that opened it.
        emulator: whose it is.
        events: the client's messages that are not audio, in their order.
        model: its model, None before `make_model`.
        socket: the connection, None before it is open and after it is gone.
        over: whether the connection is gone.
        judge: judges its messages, that of the emulator unless `opened` sets another.
    """

    def __init__(self, emulator: VendorEmulator, request: Request, session_id: str) -> None:
        self.id = session_id
        self.request = request
        self.emulator = emulator
        self.events: list[dict[str, Any]] = []
        self.model: ScriptedModel | None = None
        self.socket: Link | None = None
        self.over = False
        self.judge: Any = emulator.judge
        #: What is still to end after the connection is gone.
        self.tasks: list[asyncio.Task[None]] = []
        self._out: WireOut | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._began = 0.0

    # -- what a vendor says

    def opened(self) -> None:
        """The connection is open: say what the vendor says unasked."""

    def received(self, message: dict[str, Any]) -> None:
        """A message came that the judge found valid."""

    def received_audio(self, audio: bytes) -> None:
        """A binary message came."""
        if self.model is not None:
            self.model.hear(audio)

    def invalid(self, problems: Sequence[str], message: Any) -> None:
        """A message came that is not valid: answer as the vendor does."""
        self.error("invalid_request", problems[0])

    def closed(self) -> None:
        """The connection is gone."""

    def decode(self, message: str | bytes) -> dict[str, Any] | bytes:
        """What came over the wire: a message, or bytes of audio.

        Raises:
            ValueError: neither.
        """
        if isinstance(message, bytes):
            return message
        found = json.loads(message)
        if not isinstance(found, dict):
            raise ValueError("a message is a JSON object")
        return found

    def kind_of(self, message: Mapping[str, Any]) -> str:
        """The type of a message, as faults name it."""
        return str(message.get("type", ""))

    def is_audio(self, message: Mapping[str, Any]) -> bool:
        """Whether a message of the client is one of the many that carry audio, and not to be remembered."""
        return "audio" in self.kind_of(message)

    def error_message(self, code: str, message: str) -> dict[str, Any] | None:
        """How the vendor tells an error; None: not by a message."""
        return None

    def error(self, code: str, message: str) -> None:
        """Tell an error: by a message, or by closing the connection where the vendor has none."""
        told = self.error_message(code, message)
        if told is None:
            self.end(1011, message)
        else:
            self.send(told)

    def expiry_messages(self) -> Iterable[dict[str, Any]]:
        """What the vendor says before it closes a session that has lasted too long."""
        return ()

    def unknown_message(self, kind: str) -> dict[str, Any]:
        """A message of a type that no client knows yet."""
        return {"type": kind, "mood": "sunny"}

    def oversized_message(self, n_bytes: int) -> dict[str, Any]:
        """A message of about so many bytes."""
        return {**self.unknown_message("large"), "padding": "x" * n_bytes}

    # -- for a vendor

    def now_ms(self) -> float:
        """Milliseconds since the connection was opened."""
        return (asyncio.get_running_loop().time() - self._began) * 1000

    def make_model(self, input: AudioFormat, output: AudioFormat, **settings: Any) -> ScriptedModel:
        """Make the model that hears and speaks in these formats. `settings` change those of the emulator."""
        emulator = self.emulator
        self.model = ScriptedModel(
            self,
            emulator.script,
            emulator.voice,
            input,
            output,
            faults=emulator.faults,
            settings=msgspec.structs.replace(emulator.settings, **settings),
            session_id=self.id,
            thens=emulator.thens,
        )
        return self.model

    def send(self, message: Mapping[str, Any] | bytes, *, binary: bool = False) -> None:
        """Send a message, judged; or audio. `binary`: the message's JSON goes as a binary frame."""
        if self._out is None:
            return
        if isinstance(message, bytes):
            self._out.send_raw(message)
            return
        kind = self.kind_of(message)
        text = json.dumps(message, ensure_ascii=False)
        if self.judge is not None:
            for problem in self.judge.server(text):
                self.emulator.violated(f"{kind}: {problem}")
        self.emulator.tell(self, message)
        self._out.pass_on(text.encode() if binary else text, kind)

    def send_raw(self, message: str | bytes) -> None:
        """Send something as it is, unjudged."""
        if self._out is not None:
            self._out.send_raw(message)

    def later(self, name: str, seconds: float, call: Callable[..., None], *args: Any) -> None:
        """Call something in so many seconds. A timer of that name that is running is replaced."""
        self.cancel_timer(name)
        loop = asyncio.get_running_loop()
        self._timers[name] = loop.call_later(seconds, self._due, name, call, args)

    def cancel_timer(self, name: str) -> None:
        """Stop a timer, if it is running."""
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def end(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection; 1006 is without a close frame."""
        if self.model is not None:
            self.tasks += self.model.close()
        if self.socket is not None:
            self.socket.kill() if code == 1006 else self.socket.close(code, reason)

    def strike(self, fault: Any) -> None:
        """Let something go wrong, now."""
        out = self._out
        if out is None or (self.model is not None and self.model.strike(fault)):
            return
        match fault:
            case Drop(close_code=code, reason=reason):
                self.end(1006 if code is None else code, reason)
            case Expire(close_code=code):
                for message in self.expiry_messages():
                    self.send(message)
                self.end(code, "session expired")
            case ErrorOnce(code=code, message=message):
                self.error(code, message)
            case Stall(seconds=seconds):
                out.stall(seconds)
            case Lag(seconds=seconds):
                out.lag(seconds)
            case Oversized(n_bytes=n_bytes):
                out.send_raw(json.dumps(self.oversized_message(n_bytes)))
            case UnknownEvent(event_type=kind):
                out.send_raw(json.dumps(self.unknown_message(kind)))
            case Malformed(text=text):
                out.send_raw(text)
            case _:
                _log.warning("this emulator has no fault %s", type(fault).__name__)

    # -- told by the connection

    def on_open(self, socket: Link) -> None:
        """The handshake is done."""
        self.socket = socket
        self._out = WireOut(socket, self.emulator.faults)
        self._began = asyncio.get_running_loop().time()
        self._try(self.opened)
        for number, (delay, fault) in enumerate(self.emulator.faults.connected()):
            self.later(f"fault {number}", delay, self.strike, fault)

    def on_message(self, message: str | bytes) -> None:
        """Something came."""
        self._try(self._take, message)

    def on_close(self) -> None:
        """The connection is gone."""
        self.socket, self.over = None, True
        for name in list(self._timers):
            self.cancel_timer(name)
        if self._out is not None:
            self._out.close()
            self._out = None
        if self.model is not None:
            self.tasks += self.model.close()
        self.closed()
        self.emulator.tell(self, None)

    def _take(self, message: str | bytes) -> None:
        try:
            found = self.decode(message)
        except ValueError as failure:
            self.invalid([f"the message: {failure}"], message)
            return
        if isinstance(found, bytes):
            self.received_audio(found)
            return
        problems = self._problems(message if isinstance(message, str) else found)
        if problems:
            self.invalid(problems, found)
            return
        if len(self.events) < MAX_EVENTS and not self.is_audio(found):
            self.events.append(found)
        self.received(found)

    def _problems(self, message: Any) -> list[str]:
        return self.judge.client(message) if self.judge is not None else []

    def _due(self, name: str, call: Callable[..., None], args: tuple[Any, ...]) -> None:
        self._timers.pop(name, None)
        self._try(call, *args)

    def _try(self, call: Callable[..., None], *args: Any) -> None:
        try:
            call(*args)
        except Exception as failure:
            self.on_failure(failure)

    # -- told by the model

    def on_speech_started(self, audio_ms: float) -> None:
        """The user began to speak."""

    def on_speech_stopped(self, audio_ms: float) -> None:
        """The user's turn is over."""

    def on_user_partial(self, text: str) -> None:
        """All words of the turn so far."""

    def on_pause(self, text: str) -> None:
        """The turn may be over."""

    def on_resumed(self) -> None:
        """After a pause, the turn went on."""

    def on_user_text(self, text: str) -> None:
        """All words of a turn that is over."""

    def on_reply_started(self, reply_id: str) -> None:
        """The model begins to answer."""

    def on_reply_text(self, text: str) -> None:
        """What it is about to say."""

    def on_words(self, text: str, start_ms: float, end_ms: float) -> None:
        """A word of it."""

    def on_audio(self, audio: bytes, words: Sequence[SpokenWord]) -> None:
        """A chunk of audio."""

    def on_written(self, piece: str) -> None:
        """A piece of a reply that is not spoken."""

    def on_tool_calls(self, calls: list[Call]) -> None:
        """It wants results of tools."""

    def on_tools_cancelled(self, call_ids: list[str]) -> None:
        """It does not want them any more."""

    def on_reply_generated(self) -> None:
        """All of the answer was sent."""

    def on_reply_ended(self, status: str, text: str) -> None:
        """The answer has ended."""

    def on_error(self, code: str, message: str) -> None:
        """The model failed."""
        self.error(code, message)

    def on_fault(self, fault: Any) -> None:
        """A fault strikes in an answer."""
        self.strike(fault)

    def on_failure(self, failure: BaseException) -> None:
        """The emulator itself has a mistake: that is told at its end, and the connection closed."""
        _log.error("an emulator failed", exc_info=failure)
        self.emulator.violated(f"{type(self).__name__} failed: {failure!r}")
        self.end(1011, "the emulator failed")
