"""One connection to the emulated Cartesia: contexts side by side, each spoken by itself."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Mapping
from typing import Any

from voxengine.audio.formats import AudioFormat
from voxengine.testing.emulators.faults import ErrorOnce, LateAudio, Slow
from voxengine.testing.emulators.mouth import Piece, speak_paced
from voxengine.testing.emulators.vendor_session import VendorSession

__all__ = ["CartesiaSession"]

#: What an input of a context may differ in from the ones before.
_OWN = frozenset({"transcript", "continue", "flush"})
#: A sentence, and what follows it.
_SENTENCE = re.compile(r"(.*?[.!?]+)(\s+.*)", re.DOTALL)
#: Milliseconds for which words are gathered, unless it is said otherwise.
_BUFFER_MS = 3000
#: Inputs of a context that wait to be spoken.
_MOST = 1024
#: Names of contexts that are over, which are remembered.
_OVER = 1000


class CartesiaSession(VendorSession):
    """A connection. `contexts` are those that are open, by their names; `texts` all that was asked for, by the same."""

    def opened(self) -> None:
        """Nothing is said unasked."""
        self.contexts: dict[str, _Context] = {}
        self.texts: dict[str, str] = {}
        self.cancelled: list[str] = []
        self._over: dict[str, None] = {}

    def received(self, message: dict[str, Any]) -> None:
        """An input, or the end of one."""
        name = message["context_id"]
        context = self.contexts.get(name)
        if "cancel" in message:
            self.cancelled.append(name)
            if context is not None:
                context.cancel()
            return
        if name in self._over:
            self.refuse(name, 400, "context_expired", "Context closed", "its time is over")
            return
        if context is None:
            limit = self.emulator.settings.concurrency
            if limit is not None and len(self.contexts) >= limit:
                words = "You have exceeded your plan's concurrency limit."
                self.refuse(name, 429, "concurrency_limited", "Too many requests", words)
                return
            if not message["transcript"].strip() and not message.get("continue"):
                self.refuse(name, 400, "invalid_transcript", "Invalid transcript", "it is empty")
                return
            context = self.contexts[name] = _Context(self, name, message)
        elif context.differs(message):
            self.refuse(name, 400, "invalid_context", "Invalid context", "its settings are fixed")
            return
        self.texts[name] = self.texts.get(name, "") + message["transcript"]
        context.take(message)

    def closed(self) -> None:
        """Speak no more."""
        for context in [*self.contexts.values()]:
            context.stop()

    def forget(self, name: str) -> None:
        """A context is over."""
        self.contexts.pop(name, None)
        self._over[name] = None
        if len(self._over) > _OVER:
            del self._over[next(iter(self._over))]

    def refuse(self, name: str | None, status: int, code: str, title: str, words: str) -> None:
        """Tell an error; the context that it is about is over."""
        context = self.contexts.get(name or "")
        if context is not None:
            context.stop()
        self.send(_error(name, status, code, title, words))

    def error_message(self, code: str, message: str) -> dict[str, Any]:
        """An error of the connection."""
        return _error(None, 500, code, "Error", message)

    def invalid(self, problems: Any, message: Any) -> None:
        """An input that is not valid."""
        found = message.get("context_id") if isinstance(message, dict) else None
        name = found if isinstance(found, str) else None
        self.refuse(name, 400, "invalid_request", "Invalid request", problems[0])


class _Context:
    """What is spoken under one name."""

    def __init__(self, session: CartesiaSession, name: str, first: Mapping[str, Any]) -> None:
        self._session = session
        self._name = name
        self._fixed = {key: value for key, value in first.items() if key not in _OWN}
        self._format = AudioFormat("pcm16", first["output_format"]["sample_rate"])
        self._buffer_s = first.get("max_buffer_delay_ms", _BUFFER_MS) / 1000
        self._speed = (first.get("generation_config") or {}).get("speed", 1.0)
        self._timed = bool(first.get("add_timestamps"))
        self._pending = ""
        #: Sentences; numbers of flushes; None is the end.
        self._inputs: asyncio.Queue[str | int | None] = asyncio.Queue(_MOST)
        self._flushes = 0
        self._timer: asyncio.TimerHandle | None = None
        #: How much was spoken, and how much before the last flush. Milliseconds.
        self._spoken_ms = 0.0
        self._flushed_ms = 0.0
        self._flush_id: int | None = None
        #: What was sent last, and whether it is sent again after a cancellation.
        self._last = b""
        self._late = False
        self._number = session.emulator.faults.responding()
        self._chunks = 0
        self._slowness = 1.0
        self._task = asyncio.create_task(self._run(), name=f"cartesia-{name}")
        self._task.add_done_callback(self._done)
        session.tasks.append(self._task)

    def differs(self, message: Mapping[str, Any]) -> bool:
        """Whether an input has other settings than those before."""
        return {key: value for key, value in message.items() if key not in _OWN} != self._fixed

    def take(self, message: Mapping[str, Any]) -> None:
        """A further input."""
        self._pending += message["transcript"]
        if message.get("flush"):
            self._gather()
            self._flushes += 1
            self._inputs.put_nowait(self._flushes)
        elif not message.get("continue"):
            self._gather()
            self._inputs.put_nowait(None)
        elif self._buffer_s <= 0:
            self._gather()
        else:
            while (found := _SENTENCE.fullmatch(self._pending)) is not None:
                self._inputs.put_nowait(found[1])
                self._pending = found[2]
            if self._timer is None and self._pending.strip():
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(self._buffer_s, self._gather)

    def cancel(self) -> None:
        """The client wants no more; of what was made already, something may still come."""
        self.stop()
        if self._late:
            self._send_audio(self._last)
        self._session.send(self._message("done", done=True))

    def stop(self) -> None:
        """It is over."""
        if self._timer is not None:
            self._timer.cancel()
        self._session.forget(self._name)
        if self._task is not asyncio.current_task():
            self._task.cancel()

    # -- inside

    def _gather(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pending.strip():
            self._inputs.put_nowait(self._pending)
        self._pending = ""

    def _done(self, task: asyncio.Task[None]) -> None:
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            self._session.on_failure(failure)

    async def _run(self) -> None:
        settings = self._session.emulator.settings
        await asyncio.sleep(settings.latency_ms / 1000)
        while True:
            found = await self._next()
            if found is None:
                break
            if isinstance(found, int):
                self._flush_id = found + 1
                self._flushed_ms = self._spoken_ms
                done = self._message("flush_done", flush_done=True, flush_id=found)
                self._session.send(done)
            elif not await self._speak(found):
                return
        if not self._strike():
            return
        self.stop()
        self._session.send(self._message("done", done=True, status_code=200))

    async def _next(self) -> str | int | None:
        """What comes next; None if it is to end, or nothing comes for too long."""
        while True:
            # Without an end, a context is over some time after its last speech.
            idle = self._session.emulator.settings.idle_s if self._spoken_ms else None
            try:
                async with asyncio.timeout(idle):
                    return await self._inputs.get()
            except TimeoutError:
                if not self._pending.strip():
                    return None

    async def _speak(self, text: str) -> bool:
        """Speak a text; False if that came to an end by a fault."""
        settings, begin = self._session.emulator.settings, self._spoken_ms
        pieces = speak_paced(
            self._session.emulator.voice,
            text,
            self._format,
            chunk_ms=settings.chunk_ms,
            pace=settings.pace,
            speed=self._speed,
            slowness=lambda: self._slowness,
        )
        async for piece in pieces:
            if not self._strike():
                await pieces.aclose()
                return False
            self._chunks += 1
            self._spoken_ms = begin + piece.end_ms
            self._send_words(piece, begin)
            self._last = piece.audio
            self._send_audio(piece.audio)
        return True

    def _strike(self) -> bool:
        for fault in self._session.emulator.faults.at_chunk(self._number, self._chunks):
            if isinstance(fault, ErrorOnce):
                self._session.refuse(self._name, 500, fault.code, "Failed", fault.message)
                return False
            if isinstance(fault, Slow):
                self._slowness *= fault.factor
            elif isinstance(fault, LateAudio):
                self._late = True
            else:
                self._session.strike(fault)
        return True

    def _send_audio(self, audio: bytes) -> None:
        data = base64.b64encode(audio).decode()
        self._session.send(
            self._message("chunk", data=data, step_time=1.5, flush_id=self._flush_id)
        )

    def _send_words(self, piece: Piece, begin: float) -> None:
        if not self._timed or not piece.words:
            return
        settings = self._session.emulator.settings
        base = begin - (self._flushed_ms if settings.from_flush else 0.0)
        told = {
            "words": [word.text.strip() for word in piece.words],
            "start": [(base + word.start_ms) / 1000 for word in piece.words],
            "end": [(base + word.end_ms) / 1000 for word in piece.words],
        }
        message = self._message("timestamps", word_timestamps=told, flush_id=self._flush_id)
        if settings.words_late_s:
            name = f"words {self._name} {self._chunks}"
            self._session.later(name, settings.words_late_s, self._session.send, message)
        else:
            self._session.send(message)

    def _message(self, kind: str, **fields: Any) -> dict[str, Any]:
        message = {"type": kind, "context_id": self._name, "done": False, "status_code": 206}
        message |= {name: value for name, value in fields.items() if value is not None}
        return message


def _error(name: str | None, status: int, code: str, title: str, words: str) -> dict[str, Any]:
    error = {
        "type": "error",
        "done": True,
        "status_code": status,
        "error_code": code,
        "title": title,
        "message": words,
        "request_id": "request_1",
    }
    return error | ({"context_id": name} if name is not None else {})
