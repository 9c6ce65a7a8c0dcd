"""A recogniser that streams, as others would write one, which hears the words of `Voice`; and a call with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tests.cascade.fakes import RATE, Call, Voice
from voxengine.errors import ProviderError
from voxengine.providers.cascade.parts import (
    STTEagerEnd,
    STTEvent,
    STTFailed,
    STTFinal,
    STTPartial,
    STTResumed,
    STTSpeechStarted,
    STTTurnEnded,
)

DOWN = ProviderError("the line went dead", code="closed", retryable=True)


class FakeStream:
    """One stream. Its answers come `delay` seconds after what they answer."""

    def __init__(self, stt: FakeStreamingSTT, tell: Callable[[STTEvent], None]) -> None:
        self.stt = stt
        self._tell = tell
        #: Samples that it was fed, and where the last loud one was.
        self.samples = 0
        self._loud = 0
        #: The words that were not written down for good, and whether the audio is silent behind the last.
        self._heard: list[str] = []
        self._gap = True
        #: Those that were, in the turn that it has in hand.
        self._done: list[str] = []
        self._shown = ""
        self._said_eager = ""
        self.finalized = 0
        self.closed = False

    def tell(self, event: STTEvent) -> None:
        """After the delay, unless it was closed."""
        loop = asyncio.get_running_loop()
        loop.call_later(self.stt.delay, lambda: self.closed or self._tell(event))

    def fail(self, error: ProviderError = DOWN) -> None:
        self._tell(STTFailed(error))

    def feed(self, audio: bytes) -> None:
        assert not self.closed
        assert 320 <= len(audio) <= 2 * RATE
        self._hear(np.frombuffer(audio, np.int16))
        if self.stt.fails_on and self.stt.fails_on in self._words():
            self.fail(self.stt.fails_with)
            return
        if self.stt.settles and len(self._heard) > 1:
            done, self._heard = self._heard[:-1], self._heard[-1:]
            self._done += done
            self.tell(STTFinal(" ".join(done)))
        words = self._words()
        if words and words != self._shown:
            if not self._shown:
                self.tell(STTSpeechStarted())
            if self._said_eager:
                self._said_eager = ""
                self.tell(STTResumed())
            self._shown = words
            self.tell(STTPartial(words))
        if self.stt.detects_turns and words:
            self._look_for_the_end(words)

    def _hear(self, audio: np.ndarray[Any, np.dtype[np.int16]]) -> None:
        loud = np.flatnonzero(np.abs(audio) > 1500)
        if len(loud):
            self._loud = self.samples + int(loud[-1])
        self.samples += len(audio)
        words = self.stt.voice.hear(audio.astype(np.float32) / np.float32(32768)).split()
        goes_on = not self._gap and abs(int(audio[0])) > 1500
        if words and goes_on and self._heard and words[0] == self._heard[-1]:
            words = words[1:]
        self._heard += words
        self._gap = abs(int(audio[-1])) < 1500

    def _words(self) -> str:
        return " ".join(self._heard)

    def _look_for_the_end(self, words: str) -> None:
        quiet_ms = (self.samples - self._loud) * 1000 / RATE
        words = " ".join([*self._done, words])
        said = self.stt.spelled(words)
        if quiet_ms >= self.stt.eager_ms and not self._said_eager:
            self._said_eager = words
            self.tell(STTEagerEnd(words))
        if quiet_ms >= self.stt.end_ms and not self.stt.mute:
            self._new_turn()
            self.tell(STTTurnEnded(said, "en"))

    def _new_turn(self) -> None:
        self._heard, self._done, self._shown, self._said_eager = [], [], "", ""

    def finalize(self) -> None:
        self.finalized += 1
        words = self._words()
        self._new_turn()
        if not self.stt.deaf:
            self.tell(STTFinal(words, "en", asked=True))

    async def close(self) -> None:
        await asyncio.sleep(0)
        for event in self.stt.at_close:
            self._tell(event)
        self.closed = True


class FakeStreamingSTT:
    """Hears what the voice said. Sample rate 16 kHz unless told otherwise."""

    name = "fake-stream"
    sample_rate = RATE
    takes_vocabulary = True
    tells_emotion = True

    def __init__(self, voice: Voice, *, detects_turns: bool = False, delay: float = 0.1) -> None:
        self.voice = voice
        self.detects_turns = detects_turns
        self.delay = delay
        self.eager_ms, self.end_ms = 200.0, 500.0
        #: How the words of a turn are spelled at its end.
        self.spelled: Callable[[str], str] = lambda words: f"{words.capitalize()}."
        self.refusals: list[Exception] = []
        self.fails_on = ""
        self.fails_with = DOWN
        self.deaf = self.mute = False
        #: It gives each word for good when the next one comes.
        self.settles = False
        self.at_close: list[STTEvent] = []
        self.streams: list[FakeStream] = []
        self.opened: list[dict[str, Any]] = []
        self.attempts = 0

    async def load(self) -> None:
        return None

    async def open(
        self,
        on_event: Callable[[STTEvent], None],
        *,
        session: str,
        language: str | None = None,
        vocabulary: Sequence[str] = (),
        turn_options: Mapping[str, Any] | None = None,
    ) -> FakeStream:
        self.attempts += 1
        await asyncio.sleep(0.05)
        if self.refusals:
            raise self.refusals.pop(0)
        self.opened.append(
            {"language": language, "vocabulary": tuple(vocabulary), "turn": turn_options}
        )
        self.streams.append(FakeStream(self, on_event))
        return self.streams[-1]

    @property
    def stream(self) -> FakeStream:
        """The one that is open."""
        return self.streams[-1]


class StreamedCall(Call):
    """A call whose recogniser streams."""

    def __init__(
        self,
        *,
        detects_turns: bool = False,
        delay: float = 0.1,
        metadata: dict[str, Any] | None = None,
        **config: Any,
    ) -> None:
        voice = Voice()
        self.ears = FakeStreamingSTT(voice, detects_turns=detects_turns, delay=delay)
        super().__init__(metadata={"stt": self.ears, **(metadata or {})}, **config)
        self.voice = voice
