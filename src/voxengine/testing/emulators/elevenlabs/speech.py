"""The emulator of ElevenLabs' voices: text as it comes in, speech and the places of its characters out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pybase64

from voxengine.audio.formats import AudioFormat
from voxengine.testing.emulators.elevenlabs.session import aligned, format_named
from voxengine.testing.emulators.http import Answer, Request, json_answer
from voxengine.testing.emulators.model_types import ModelSettings
from voxengine.testing.emulators.mouth import Piece, speak_paced
from voxengine.testing.emulators.vendor import VendorEmulator
from voxengine.testing.emulators.vendor_session import VendorSession
from voxengine.testing.oracles.elevenlabs import TypesJudge, speech_judge

__all__ = ["SpeechEmulator", "SpeechSession", "SpeechSettings"]

_PATH = re.compile(r"/v1/text-to-speech/([^/]+)/(stream-input|multi-stream-input)")
#: Contexts of a connection; more end it.
_MAX_CONTEXTS = 5
#: Characters that are gathered before they are spoken, the vendor's default.
_SCHEDULE = (120.0, 160.0, 250.0, 290.0)
#: Texts of a context that wait to be spoken.
_MOST = 256


class SpeechSettings(ModelSettings, frozen=True, kw_only=True):
    """How the voices behave."""

    #: Voices that there are, by id; None: any.
    voices: tuple[str, ...] | None = None
    #: Whether it says where the characters are.
    aligned: bool = True


class _Context:
    """One context: text gathers, and is spoken in order."""

    def __init__(self, session: SpeechSession, name: str | None, schedule: Sequence[float]) -> None:
        self.name = name
        self.text = ""
        self.kept_alive = 0
        self._session = session
        self._schedule = list(schedule)
        self._spoken = 0
        self._buffer = ""
        self._texts: asyncio.Queue[str | None] = asyncio.Queue(_MOST)
        self.task = asyncio.create_task(self._run(), name="elevenlabs-mouth")

    def add(self, text: str, *, flush: bool) -> None:
        """Some more text; `flush`: to be spoken now."""
        self.text += text
        self._buffer += text
        due = self._schedule[min(self._spoken, len(self._schedule) - 1)]
        if self._buffer.strip() and (flush or len(self._buffer) >= due):
            self._spoken += 1
            self._texts.put_nowait(self._buffer)
            self._buffer = ""

    def end(self, *, drop: bool) -> None:
        """No more text comes; `drop`: what was not flushed is not spoken."""
        if not drop:
            self.add("", flush=True)
        self._texts.put_nowait(None)

    async def _run(self) -> None:
        while (text := await self._texts.get()) is not None:
            await self._session.speak(text, self.name)
        self._session.final(self.name)


class SpeechSession(VendorSession):
    """One connection.

    Attributes:
        voice_id: whose voice it is.
        contexts: all that there are, by id; ended ones stay, in `gone`.
        settings_of: what was said with the first message of each.
    """

    def opened(self) -> None:
        """The client speaks first."""
        found = _PATH.fullmatch(self.request.path)
        assert found is not None
        self.voice_id, self.multi = found[1], found[2].startswith("multi")
        self.contexts: dict[str | None, _Context] = {}
        self.gone: list[_Context] = []
        self.settings_of: dict[str | None, dict[str, Any]] = {}
        self._format: AudioFormat = format_named(
            self.request.query.get("output_format", "pcm_24000")
        )
        self._chunks = 0
        known = self.emulator.settings.voices
        if known is not None and self.voice_id not in known:
            self.fail("voice_id_does_not_exist", f"there is no voice {self.voice_id}")
        self._wait()

    def _wait(self) -> None:
        seconds = float(self.request.query.get("inactivity_timeout", "20"))
        words = f"nothing was said for {seconds:g} s"
        self.later("idle", seconds, self.fail, "input_timeout_exceeded", words)

    def kind_of(self, message: Mapping[str, Any]) -> str:
        """Messages have no type."""
        return "audio" if message.get("audio") else "final" if message.get("isFinal") else "error"

    def is_audio(self, message: Mapping[str, Any]) -> bool:
        """The client sends none."""
        return False

    def unknown_message(self, kind: str) -> dict[str, Any]:
        """A message of a kind that no client knows yet."""
        return {"mood": kind}

    def invalid(self, problems: Sequence[str], message: Any) -> None:
        """A message that is not valid."""
        self.fail("invalid_message", problems[0])

    def error(self, code: str, message: str) -> None:
        """Tell it, and close."""
        self.fail(code, message)

    def fail(self, code: str, message: str) -> None:
        """Tell it, and close."""
        self.send({"message": message, "error": code, "code": 1008})
        self.end(1008, message)

    def closed(self) -> None:
        """Speak no more."""
        for context in self.contexts.values():
            context.task.cancel()
            self.tasks.append(context.task)

    # -- the client

    def received(self, message: dict[str, Any]) -> None:
        """Text, the end of it, or a sign of life."""
        self._wait()
        if message.get("close_socket"):
            self.end()
            return
        name = message.get("context_id")
        context = self.contexts.get(name)
        text = message.get("text")
        if message.get("close_context"):
            if context is not None:
                context.end(drop=True)
        elif not self.multi and text == "":
            if context is not None:
                context.end(drop=False)
            else:
                self.end()
        elif text == "" and not message.get("flush"):
            if context is not None:
                context.kept_alive += 1
        elif context is None:
            self._begin(name, message)
        else:
            context.add(text or "", flush=bool(message.get("flush")))

    def _begin(self, name: str | None, message: dict[str, Any]) -> None:
        if len(self.contexts) >= _MAX_CONTEXTS:
            words = f"Maximum simultaneous contexts per WebSocket connection exceeded ({_MAX_CONTEXTS})."
            self.fail("max_active_conversations", words)
            return
        self.settings_of[name] = message
        generation = message.get("generation_config") or {}
        schedule = generation.get("chunk_length_schedule") or _SCHEDULE
        if self.request.query.get("auto_mode") == "true":
            schedule = (1.0,)
        context = self.contexts[name] = _Context(self, name, schedule)
        context.task.add_done_callback(self._done)
        if (message.get("text") or "").strip():
            context.add(message["text"], flush=bool(message.get("flush")))

    def _done(self, task: asyncio.Task[None]) -> None:
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            self.on_failure(failure)

    # -- told by a context

    async def speak(self, text: str, name: str | None) -> None:
        """Say it."""
        emulator = self.emulator
        settings, number = emulator.settings, emulator.faults.responding()
        settings_of = self.settings_of[name].get("voice_settings") or {}
        said_ms, chunks = 0.0, 0
        async for piece in speak_paced(
            emulator.voice,
            text,
            self._format,
            chunk_ms=settings.chunk_ms,
            pace=settings.pace,
            speed=settings_of.get("speed") or 1.0,
        ):
            for fault in emulator.faults.at_chunk(number, chunks):
                self.strike(fault)
            chunks += 1
            self._send(piece, name, said_ms)
            said_ms = piece.end_ms

    def _send(self, piece: Piece, name: str | None, at_ms: float) -> None:
        alignment = None
        if self.emulator.settings.aligned and piece.words:
            chars, starts, lasts = aligned(piece.words, at_ms)
            alignment = {"chars": chars, "charStartTimesMs": starts, "charDurationsMs": lasts}
        message: dict[str, Any] = {
            "audio": pybase64.b64encode(piece.audio).decode(),
            "alignment": alignment,
            "normalizedAlignment": alignment,
        }
        self.send(message if name is None else {**message, "contextId": name})

    def final(self, name: str | None) -> None:
        """All of a context was said."""
        self.gone.append(self.contexts.pop(name))
        self.send({"isFinal": True} if name is None else {"isFinal": True, "contextId": name})
        if not self.multi:
            self.end()


class SpeechEmulator(VendorEmulator):
    """ElevenLabs' voices on a port of this machine, with many contexts on a connection or one.

    See `VendorEmulator`, of whose arguments `responses` have no meaning here.
    """

    settings_type = SpeechSettings

    @property
    def metadata(self) -> dict[str, Any]:
        """Options with which the part finds it."""
        return {"endpoint": self.ws_url}

    def make_judge(self) -> TypesJudge:
        """The vendor's types."""
        return speech_judge()

    def make_session(self, request: Request, session_id: str) -> SpeechSession:
        """A connection to a voice."""
        return SpeechSession(self, request, session_id)

    def opens(self, request: Request) -> bool:
        """Every voice has an address of its own, and two ways."""
        return _PATH.fullmatch(request.path) is not None

    def key_of(self, request: Request) -> str | None:
        """The key in its header."""
        return request.headers.get("xi-api-key")

    def refusal(self, status: int, code: str, message: str) -> Answer:
        """In the form of the vendor's API."""
        return json_answer(status, {"detail": {"status": code, "message": message}})
