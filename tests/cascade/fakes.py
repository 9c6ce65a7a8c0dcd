"""Doubles of the parts' protocols with exact times, and a caller whose words can be read back from the audio.

A word is a stretch of samples of one level; silence is zeros. So the fake recogniser hears exactly what was sent, and a
test sees which audio reached it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from voxengine import events as ev
from voxengine.errors import ProviderError
from voxengine.providers.cascade import CascadeProvider
from voxengine.providers.cascade.parts import (
    BrainEvent,
    BrainText,
    BrainToolCall,
    Message,
    Speech,
    ToolCall,
    ToolSpec,
    Transcription,
)

if TYPE_CHECKING:
    from voxengine.providers.cascade.parts import Samples

RATE = 16000
#: Level of the first word; each further word of a vocabulary is a step louder.
_BASE, _STEP = 3000, 200


class Voice:
    """Turns words into audio and back."""

    def __init__(self) -> None:
        self._levels: dict[str, int] = {}

    def say(self, text: str, word_ms: int = 160) -> bytes:
        """pcm16 at 16 kHz, `word_ms` for each word."""
        out = b""
        for word in text.split():
            level = self._levels.setdefault(word, _BASE + _STEP * len(self._levels))
            out += np.full(RATE * word_ms // 1000, level, "<i2").tobytes()
        return out

    def hear(self, samples: Samples) -> str:
        """The words in the audio, in order; noise (anything below the first level) is none."""
        levels = np.rint(np.asarray(samples) * 32768 / _STEP).astype(int) * _STEP
        changes = np.flatnonzero(np.diff(levels, prepend=levels[:1] - 1))
        words = {level: word for word, level in self._levels.items()}
        runs = zip(changes, np.append(changes[1:], len(levels)), strict=True)
        return " ".join(words[levels[a]] for a, b in runs if b - a > 160 and levels[a] in words)


def silence(ms: float) -> bytes:
    return bytes(int(RATE * ms / 1000) * 2)


def noise(ms: float) -> bytes:
    """Loud enough for the VAD, but no word."""
    return np.full(int(RATE * ms / 1000), 2000, "<i2").tobytes()


class FakeVAD:
    """Speech is what is loud."""

    name = "fake"
    frame_samples = 512
    on_device = True

    async def load(self) -> None:
        return None

    def stream(self) -> FakeVAD:
        return self

    def process(self, frame: Samples) -> float:
        return 0.9 if np.abs(frame).max() > 0.05 else 0.02

    def reset(self) -> None:
        return None


class FakeTurn:
    """A fixed wait; longer after a word that ends in a comma."""

    name = "fixed"
    on_device = True

    def __init__(self, wait: float = 300.0) -> None:
        self.wait = wait
        self.pauses: list[tuple[float, bool]] = []

    def wait_ms(self, text: str | None, speech_ms: float) -> float:
        return self.wait * 3 if text is not None and text.endswith(",") else self.wait

    def observe_pause(self, pause_ms: float, ended_turn: bool) -> None:
        self.pauses.append((round(pause_ms), ended_turn))


class FakeSTT:
    """Hears what the voice said, after `delay` seconds. `fail` raises for the next so many final transcripts."""

    name = "fake"
    on_device = True

    def __init__(self, voice: Voice, delay: float = 0.1) -> None:
        self.voice = voice
        self.delay = delay
        self.fail = 0
        #: (text, seconds of audio, partial) of every decode that was finished.
        self.done: list[tuple[str, float, bool]] = []
        self.begun = 0
        self.partials = 0

    async def load(self) -> None:
        return None

    async def transcribe(
        self, samples: Samples, *, session: str, partial: bool = False
    ) -> Transcription:
        self.begun += 1
        self.partials += partial
        await asyncio.sleep(self.delay)
        if self.fail and not partial:
            self.fail -= 1
            raise ProviderError("deaf", code="deaf")
        text = self.voice.hear(samples)
        self.done.append((text, len(samples) / RATE, partial))
        return Transcription(text, "en")


#: What a fake brain answers with: texts, calls, and pauses in seconds.
Script = Sequence[Any]


class FakeBrain:
    """Answers from a function of the conversation; numbers in the answer are pauses, exceptions are raised."""

    name = "fake"
    on_device = True

    def __init__(self, answer: Callable[[list[Message]], Script] | None = None) -> None:
        self.answer = answer or (lambda messages: [f"You said {messages[-1].text}."])
        self.asked: list[list[Message]] = []
        self.tools: list[list[str]] = []
        self.finished = 0
        self.closed = 0

    async def load(self) -> None:
        return None

    async def reply(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        *,
        session: str,
        temperature: float | None = None,
    ) -> AsyncIterator[BrainEvent]:
        self.asked.append(list(messages))
        self.tools.append([t.name for t in tools])
        try:
            for step in self.answer(list(messages)):
                if isinstance(step, (int, float)):
                    await asyncio.sleep(step)
                elif isinstance(step, Exception):
                    raise step
                elif isinstance(step, str):
                    yield BrainText(step)
                else:
                    yield step
            self.finished += 1
        finally:
            self.closed += 1


def call(name: str, arguments: str = "{}", call_id: str = "c1") -> BrainToolCall:
    return BrainToolCall(ToolCall(call_id, name, arguments))


class FakeTTS:
    """Takes `delay` seconds for a sentence, and `ms_per_char` of audio a character. Fails on what holds `bad`."""

    name = "fake"
    sample_rate = 24000
    voices = ("one", "two")
    on_device = True

    def __init__(self, delay: float = 0.02, ms_per_char: float = 50.0) -> None:
        self.delay = delay
        self.ms_per_char = ms_per_char
        self.bad = "\0"
        self.said: list[tuple[float, str]] = []
        self.voices_used: list[str | None] = []

    async def load(self) -> None:
        return None

    async def synthesize(
        self, text: str, *, voice: str | None, speed: float, session: str
    ) -> AsyncIterator[Speech]:
        self.said.append((asyncio.get_running_loop().time(), text))
        self.voices_used.append(voice)
        await asyncio.sleep(self.delay)
        if self.bad in text:
            raise ProviderError("hoarse", code="hoarse")
        yield Speech(b"\1\0" * int(self.sample_rate * self.ms_per_char * len(text) / 1000))


class Call:
    """A connected cascade of fakes, with all that it told, each at its time."""

    def __init__(
        self,
        *,
        brain: FakeBrain | None = None,
        stt_delay: float = 0.1,
        wait: float = 300.0,
        metadata: dict[str, Any] | None = None,
        **config: Any,
    ) -> None:
        self.voice = Voice()
        self.stt = FakeSTT(self.voice, stt_delay)
        self.turn = FakeTurn(wait)
        self.brain = brain or FakeBrain()
        self.tts = FakeTTS()
        parts = {
            "vad": FakeVAD(),
            "turn": self.turn,
            "stt": self.stt,
            "llm": self.brain,
            "tts": self.tts,
        }
        self.provider = CascadeProvider({"metadata": {**parts, **(metadata or {})}, **config})
        self.told: list[tuple[float, Any]] = []
        self.provider.on_event = self._take

    def _take(self, event: Any) -> None:
        self.told.append((asyncio.get_running_loop().time(), event))

    async def __aenter__(self) -> Self:
        await self.provider.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.provider.disconnect()

    # -- the caller

    async def send(self, audio: bytes, chunk_ms: float = 20.0) -> None:
        """Send audio at the pace of time."""
        size = int(RATE * chunk_ms / 1000) * 2
        for start in range(0, len(audio), size):
            await asyncio.sleep(chunk_ms / 1000)
            await self.provider.send_audio(audio[start : start + size])

    async def say(self, text: str, pause_ms: float = 0.0) -> None:
        await self.send(self.voice.say(text) + silence(pause_ms))

    # -- what it was told

    def all(self, kind: type[Any]) -> list[Any]:
        return [e for _, e in self.told if type(e) is kind]

    def at(self, kind: type[Any], n: int = 0) -> float:
        """The time of the nth event of a kind."""
        return [t for t, e in self.told if type(e) is kind][n]

    def names(
        self, *, without: tuple[type[Any], ...] = (ev.AudioOutputChunk, ev.TimingStage)
    ) -> list[str]:
        """The types of events in order, chunks left out."""
        return [str(e.type) for _, e in self.told if type(e) not in without]

    def heard(self) -> list[str]:
        return [e.text for e in self.all(ev.TranscriptCompleted)]

    def spoken(self) -> str:
        return "".join(e.text for e in self.all(ev.TextOutput))

    def clear(self) -> None:
        self.told.clear()
