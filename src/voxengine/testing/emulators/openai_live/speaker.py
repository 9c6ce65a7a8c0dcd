"""The model of an emulated Live session: it listens and speaks at the same time, and decides when to do which."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec
import pybase64

from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.signal import timeline
from voxengine.providers.mock.ears import Began, Ears, Heard, Speaking, TurnOver
from voxengine.testing.emulators.voice import SignalVoice

if TYPE_CHECKING:
    from voxengine.testing.emulators.openai_live.session import LiveSession

__all__ = ["Speaker", "Task"]

#: What was noticed of the user and not yet thought about. Beyond that the oldest is forgotten.
_BACKLOG = 256


class Task(msgspec.Struct):
    """A task that was delegated: what is said when its result is there, and what came of that silently."""

    then: Any
    silent: str = ""


class Speaker:
    """Ears by energy, a script for a mind, and a mouth that speaks in real time."""

    def __init__(self, session: LiveSession, format: AudioFormat) -> None:
        emulator = session.emulator
        self._session = session
        self._settings = emulator.settings
        self._script = emulator.script
        self._voice = emulator.voice
        self._faults = emulator.faults
        self._format = format
        self._ears = Ears(format, silence_ms=self._settings.silence_ms)
        self._noticed: asyncio.Queue[Heard] = asyncio.Queue(_BACKLOG)
        #: Words of the user's present turn that were told.
        self._told = 0
        #: Tasks that wait for a result.
        self.tasks: dict[str, Task] = {}
        self._task_count = 0
        self._mind = asyncio.create_task(self._think(), name="live-mind")
        self._mouth: asyncio.Task[None] | None = None
        self._idle = (
            asyncio.create_task(self._be_silent(), name="live-silence")
            if self._settings.sends_silence
            else None
        )

    @property
    def speaking(self) -> bool:
        """Whether it is about to speak, or speaks."""
        return self._mouth is not None and not self._mouth.done()

    def close(self) -> None:
        """Think and speak no more."""
        for task in (self._mind, self._mouth, self._idle):
            if task is not None:
                task.cancel()

    # -- ears

    def hear(self, audio: bytes) -> None:
        """Listen to some more."""
        for heard in self._ears.feed(audio):
            if isinstance(heard, Began) and self._settings.yields:
                self.hush()
            if self._noticed.full():
                self._noticed.get_nowait()
            self._noticed.put_nowait(heard)

    async def _think(self) -> None:
        while True:
            heard = await self._noticed.get()
            if isinstance(heard, Speaking):
                await self._tell(heard.audio)
            elif isinstance(heard, TurnOver):
                text = await self._tell(heard.audio)
                self._told = 0
                if text and not self.speaking:
                    self._answer(text)

    async def _tell(self, audio: bytes) -> str:
        """Tell the words that were not told yet; returns all of the turn."""
        text = await self._voice.hear(audio, self._format)
        words = text.split()
        new, self._told = words[self._told :], max(self._told, len(words))
        if new:
            end = self._session.now_ms()
            begin = max(0, end - round(self._format.duration_ms(len(audio))))
            self._session.send(
                "session.input_transcript.delta",
                delta=" ".join(new) + " ",
                start_ms=begin,
                end_ms=end,
            )
        return text

    # -- mind

    def _answer(self, text: str) -> None:
        reply = self._script.reply_to(text)
        if reply.error is not None:
            self._session.error("server_error", reply.error, "told to fail")
        elif reply.tools:
            self._delegate(reply.then)
        if reply.text:
            self.say(reply.text)

    def _delegate(self, then: Any) -> None:
        self._task_count += 1
        task_id = f"{self._session.id}_task_{self._task_count}"
        self.tasks[task_id] = Task(then)
        self._session.send(
            "session.delegation.created",
            offset_ms=self._session.now_ms(),
            delegation={"id": task_id, "type": "delegation", "target": "client"},
        )

    def comment(self, content: str, task_id: str | None) -> None:
        """Say something that the application knows."""
        if task_id is None:
            self.say(content)
            return
        task = self.tasks[task_id]
        self.say(self._script.after_tools(task.then, [task.silent + content]).text)

    # -- mouth

    def say(self, text: str) -> None:
        """Say this instead of what is being said."""
        self.hush()
        self._mouth = asyncio.create_task(self._say(text), name="live-mouth")

    def hush(self) -> None:
        """Stop speaking."""
        if self._mouth is not None:
            self._mouth.cancel()
            self._mouth = None

    async def _say(self, text: str) -> None:
        await asyncio.sleep(self._settings.latency_ms / 1000)
        number = self._faults.responding()
        audio = await self._voice.say(text, self._format)
        begin = self._session.now_ms()
        words = [*self._words(text, self._format.duration_ms(len(audio)))]
        size = self._format.n_bytes(self._settings.chunk_ms)
        start, loop = asyncio.get_running_loop().time(), asyncio.get_running_loop()
        for index, at in enumerate(range(0, len(audio), size)):
            for fault in self._faults.at_chunk(number, index):
                self._session.strike(fault)
            chunk_end = (index + 1) * self._settings.chunk_ms
            while words and words[0][1] < chunk_end:
                word, since, until = words.pop(0)
                self._session.send(
                    "session.output_transcript.delta",
                    delta=word,
                    start_ms=begin + round(since),
                    end_ms=begin + round(until),
                )
            self._send(audio[at : at + size])
            # By the clock, not by the chunk: a slow machine must not stretch the speech.
            await asyncio.sleep(max(0.0, start + chunk_end / 1000 - loop.time()))

    def _words(self, text: str, length_ms: float) -> Iterator[tuple[str, float, float]]:
        """Each word with its place in the audio: exact for synthetic speech, evenly spread for another."""
        words = text.split()
        if isinstance(self._voice, SignalVoice):
            spoken = timeline(text)
            for index, place in enumerate(spoken):
                yield (" " if index else "") + place.word, place.start_ms, place.end_ms
            return
        step = length_ms / max(1, len(words))
        for index, word in enumerate(words):
            yield (" " if index else "") + word, index * step, (index + 1) * step

    async def _be_silent(self) -> None:
        chunk = silence(self._settings.chunk_ms, self._format)
        while True:
            await asyncio.sleep(self._settings.chunk_ms / 1000)
            if not self.speaking:
                self._send(chunk)

    def _send(self, audio: bytes) -> None:
        delta = pybase64.b64encode(audio).decode()
        self._session.send("session.output_audio.delta", delta=delta)
