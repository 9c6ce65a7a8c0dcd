"""What both emulated voices have in common: text goes in, sentences are spoken one after the other."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar

from voxengine.audio.formats import AudioFormat
from voxengine.providers.cascade.parts import SpokenWord
from voxengine.testing.emulators.deepgram.agent import format_of
from voxengine.testing.emulators.mouth import speak_paced
from voxengine.testing.emulators.vendor_session import VendorSession

if TYPE_CHECKING:
    from voxengine.testing.emulators.deepgram.emulator import DeepgramEmulator

__all__ = ["SpeakingSession"]

_SENTENCE = re.compile(r"(?<=[.!?])\s+")


class SpeakingSession(VendorSession):
    """The server's side of one connection to a voice.

    Attributes:
        spoken: milliseconds of audio since the connection was opened.
        said: the words of what is being spoken and where they are, counted as `spoken` is.
    """

    emulator: DeepgramEmulator
    #: Which of `SPEECH` it is, and the beginnings of its models.
    interface: ClassVar[str] = ""
    family: ClassVar[str] = ""

    def opened(self) -> None:
        """Be ready to speak."""
        self.judge = self.emulator.judges[self.interface]
        self.request_id = str(uuid.uuid4())
        self.spoken = 0.0
        self.said: list[SpokenWord] = []
        self._text = ""
        #: What is to be done, in order: a sentence to speak, or what follows.
        self._work: deque[str | None] = deque()
        self._task: asyncio.Task[None] | None = None
        self._number = 0
        query = self.request.query
        self.name = query.get("model", "")
        format = format_of(query)
        if format is None or not self.name.startswith(self.family):
            self.end(1008, "DATA-0000")
            return
        self.format: AudioFormat = format
        self.ready()
        self.wait()

    def ready(self) -> None:
        """Say who we are."""

    def is_audio(self, message: Any) -> bool:
        """Messages carry none."""
        return False

    def wait(self) -> None:
        """The client is there."""
        self.later("idle", 6 * self.emulator.settings.idle_s, self.end, 1011, "NET-0001")

    # -- to speak

    def add(self, text: str) -> None:
        """Further text: each sentence that is complete by it is spoken."""
        self._text += text
        *whole, self._text = _SENTENCE.split(self._text)
        self._work.extend(whole)
        self._go_on()

    def flush(self) -> None:
        """Speak all of it; `done` is called after that."""
        if self._text.strip():
            self._work.append(self._text)
        self._text = ""
        self._work.append(None)
        self._go_on()

    def stop(self) -> str:
        """Speak no more; what was not begun."""
        if self._task is not None:
            self._task.cancel()
            self.tasks.append(self._task)
            self._task = None
        left = " ".join([*(part for part in self._work if part), self._text])
        self._work.clear()
        self._text = ""
        return left

    @property
    def speaks(self) -> bool:
        """Whether there is something to say."""
        return self._task is not None or bool(self._text.strip())

    def begin(self) -> None:
        """The first sentence of an answer follows."""

    def done(self) -> None:
        """All that was there at a `flush` was spoken."""

    def _go_on(self) -> None:
        if self._task is None and self._work:
            self._task = asyncio.create_task(self._speak(), name="emulator-voice")

    async def _speak(self) -> None:
        try:
            while self._work:
                part = self._work[0]
                if part is None:
                    self.done()
                elif not await self._sentence(part):
                    return
                self._work.popleft()
            self._task = None
        except Exception as failure:
            self.on_failure(failure)

    async def _sentence(self, text: str) -> bool:
        """Speak it; False if something has gone wrong."""
        settings, faults = self.emulator.settings, self.emulator.faults
        if not self._number:
            self._number, self._sent = faults.responding(), 0
            self.begin()
            await asyncio.sleep(settings.latency_ms / 1000)
        base = self.spoken
        speed = float(self.request.query.get("speed", "1"))
        pieces = speak_paced(
            self.emulator.voice,
            text,
            self.format,
            chunk_ms=settings.chunk_ms,
            pace=settings.pace,
            speed=speed,
        )
        async with aclosing(pieces):
            async for piece in pieces:
                for word in piece.words:
                    start, end = base + word.start_ms, base + word.end_ms
                    blank = " " if self.said and not word.text.startswith(" ") else ""
                    self.said.append(SpokenWord(blank + word.text, start, end))
                self.spoken = base + piece.end_ms
                self.send(piece.audio)
                self._sent += 1
                for fault in faults.at_chunk(self._number, self._sent):
                    self.strike(fault)
                if self.socket is None or self.over:
                    return False
        return True

    def answered(self) -> None:
        """An answer is complete: what comes is another."""
        self._number = 0
        self.said = []

    def closed(self) -> None:
        """Speak no more."""
        self.stop()
