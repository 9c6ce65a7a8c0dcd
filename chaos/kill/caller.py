"""A user in real time: a microphone that is always open, and a listener; and what has to hold of the call."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, TypeVar

from chaos.laws import Verdict, judge
from chaos.listener import Listener
from chaos.plan import MS_PER_WORD
from chaos.record import Record, Said
from voxengine import VoiceEngine
from voxengine import events as ev
from voxengine.audio.signal import speak

__all__ = ["FRAME_MS", "Caller"]

FRAME_MS = 20
#: Seconds within which anything has to happen that is waited for.
_PATIENCE = 30.0
#: Seconds for which nobody must have had anything to say before a call is at rest.
_REST = 0.3

_E = TypeVar("_E", bound=ev.ProviderEvent)


class Caller:
    """One call, as long as the block lasts. `settings` are the engine's."""

    def __init__(self, **settings: Any) -> None:
        self.engine = VoiceEngine(**settings)
        self.record = Record()
        self.listener = Listener(self.engine.config.output_format)
        #: Chunks of the answers, and when they came.
        self.chunks: list[tuple[float, ev.AudioOutputChunk]] = []
        self._format = self.engine.config.input_format
        self._words = bytearray()
        self._microphone: asyncio.Task[None] | None = None
        self._new = asyncio.Event()
        #: When the frames of silence were handed over that followed what was said last.
        self.silence: list[float] = []
        self.engine.on("*", self._noted)

    def _noted(self, event: Any) -> None:
        self.record.event(event)
        match event:
            case ev.AudioOutputChunk():
                now = self.record.now()
                self.chunks.append((now, event))
                self.listener.play(event.item_id or "", event.audio_data, now)
            case ev.AudioOutputStopped(interrupted=True):
                self.listener.stop(self.record.now())
        self._new.set()

    async def __aenter__(self) -> Caller:
        await self.engine.connect()
        self._microphone = asyncio.create_task(self._listen(), name="chaos-microphone")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        if self._microphone is not None:
            self._microphone.cancel()
            await asyncio.wait([self._microphone])
        await self.engine.disconnect()
        if self._microphone is not None and not self._microphone.cancelled():
            self._microphone.result()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        size, at = self._format.n_bytes(FRAME_MS), loop.time()
        while True:
            frame = bytes(self._words[:size])
            del self._words[:size]
            # A microphone hands a frame over when its last sample was recorded.
            at += FRAME_MS / 1000
            await asyncio.sleep(max(0.0, at - loop.time()))
            await self.engine.send_audio(frame + bytes(size - len(frame)))
            if frame:
                self.silence.clear()
                self._new.set()
            else:
                self.silence.append(loop.time())

    # -- the user

    def say(self, words: str) -> float:
        """Begin to say something synthetic; returns how many seconds that takes."""
        now = self.record.now()
        own = tuple(word for word in words.split() if word[0] == "w")
        self.record.said.append(Said(len(self.record.said) + 1, "ask", words, own, now))
        return self.play(speak(words, self._format, ms_per_word=MS_PER_WORD))

    def play(self, audio: bytes) -> float:
        """Begin to say what is in this audio; returns how many seconds that takes."""
        self._words += audio
        return self._format.duration_ms(len(audio)) / 1000

    @property
    def speaks(self) -> bool:
        """Whether there is more to be said."""
        return bool(self._words)

    async def until_left(self, seconds: float) -> None:
        """Wait until no more than so many seconds of what is being said have yet to be handed over.

        Raises:
            TimeoutError: that is never so.
        """
        async with asyncio.timeout(_PATIENCE):
            while self._format.duration_ms(len(self._words)) > seconds * 1000:
                self._new.clear()
                await self._new.wait()

    async def until(self, kind: type[_E], since: float = 0.0) -> tuple[float, _E]:
        """Wait for an event of a class, after that time; when it came, and the event.

        Raises:
            TimeoutError: it does not come.
        """
        async with asyncio.timeout(_PATIENCE):
            while True:
                for at, event in self.record.entries:
                    if at >= since and type(event) is kind:
                        return at, event
                self._new.clear()
                await self._new.wait()

    async def rest(self, seconds: float = _REST) -> None:
        """Wait until nobody has had anything to say for so long.

        Raises:
            TimeoutError: that never is.
        """
        calm = 0.0
        async with asyncio.timeout(_PATIENCE):
            while calm < seconds:
                await asyncio.sleep(FRAME_MS / 1000)
                still = self.engine.state == "idle" and self.engine.is_connected and not self.speaks
                calm = calm + FRAME_MS / 1000 if still else 0.0
        for said in self.record.said[-1:]:
            said.quiet = self.record.now()

    def verdict(self) -> Verdict:
        """What does not hold of the call, which is at rest."""
        return judge(self.record, self.engine.conversation, self.listener, ())

    @property
    def user_words(self) -> str:
        """All that was understood of the user."""
        messages = self.engine.conversation.messages
        return " ".join(item.text for item in messages if item.role == "user")
