"""Ears of an emulated vendor: audio goes in, turns and their words come out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import msgspec

from voxengine.audio.formats import AudioFormat
from voxengine.errors import VoiceEngineError
from voxengine.providers.mock.ears import Began, Ears, Paused, Speaking, TurnOver
from voxengine.testing.emulators.voice import Voice

__all__ = ["Hearing", "HearingListener", "Turn"]

#: What waits to be understood: of partial words no more than so many, of all else the oldest is forgotten beyond that.
_MAX_PARTIALS = 4
_BACKLOG = 256


class Turn(msgspec.Struct):
    """A turn of the user. Times are milliseconds of all audio that ever came in."""

    number: int
    start_ms: float
    #: None while it is under way.
    end_ms: float | None = None
    #: Whether it shall be answered where turns are.
    answer: bool = True


class HearingListener(Protocol):
    """Is told what was heard, on the event loop."""

    def on_speech_started(self, audio_ms: float) -> None:
        """A turn began."""

    def on_speech_stopped(self, audio_ms: float) -> None:
        """It is over; its words follow by `on_turn`."""

    def on_user_partial(self, text: str) -> None:
        """The words of the turn so far, all of them."""

    def on_pause(self, text: str) -> None:
        """It has been quiet for `pause_ms`: the turn may be over. `text` is all of it."""

    def on_resumed(self) -> None:
        """After a pause, the turn went on."""

    def on_turn(self, turn: Turn, text: str) -> None:
        """All words of a turn that is over; "" if there were none."""

    def on_failure(self, failure: BaseException) -> None:
        """The listener itself has failed in one of these methods: nothing more is understood."""


class Hearing:
    """Finds turns by the loudness of the audio, and understands them.

    Args:
        format: of the audio.
        voice: whose ears they are.
        listener: is told what was heard.
        silence_ms: the silence that ends a turn.
        pause_ms: a shorter one, after which the listener is asked whether it may be over; None never asks.
        detect: whether there are turns but those that `commit` makes.
        partials: whether the words so far are told, about three times a second.
        transcripts: what speech is taken for that carries no words, in rotation.
    """

    def __init__(
        self,
        format: AudioFormat,
        voice: Voice,
        listener: HearingListener,
        *,
        silence_ms: float = 500.0,
        pause_ms: float | None = None,
        detect: bool = True,
        partials: bool = True,
        transcripts: Sequence[str] = (),
    ) -> None:
        #: The turn that is under way, None between turns.
        self.turn: Turn | None = None
        self._format = format
        self._voice = voice
        self._listener = listener
        self._asks = pause_ms is not None
        self._partials = partials
        self._transcripts = tuple(transcripts)
        self._turns = 0
        self._wordless = 0
        #: Counts the pauses and the ends of pauses, so that what was asked about one is not told after it.
        self._pauses = 0
        self._ears = Ears(format, silence_ms=silence_ms, pause_ms=pause_ms, detect=detect)
        self._noticed: asyncio.Queue[tuple[Speaking | Paused | TurnOver, Turn, int, bytes]] = (
            asyncio.Queue(_BACKLOG)
        )
        self._task = asyncio.create_task(self._understand_all(), name="emulator-ears")
        self._task.add_done_callback(self._done)

    @property
    def position_ms(self) -> float:
        """Milliseconds of all audio so far."""
        return self._ears.position_ms

    @property
    def held_ms(self) -> float:
        """Milliseconds of audio that are not yet a turn."""
        return self._ears.held_ms

    def feed(self, audio: bytes) -> None:
        """Listen to some more."""
        for heard in self._ears.feed(audio):
            match heard:
                case Began(at_ms=at_ms):
                    self._began(at_ms)
                case Speaking(audio=so_far):
                    if self._partials and self._noticed.qsize() < _MAX_PARTIALS:
                        self._notice(heard, so_far)
                case Paused():
                    if self._asks:
                        self._pauses += 1
                        self._notice(heard, self._ears.so_far)
                case TurnOver(at_ms=at_ms, audio=whole):
                    self._over(heard, at_ms, whole)

    def commit(self, *, answer: bool = True) -> bool:
        """Declare what was heard so far a turn; False if that is nothing."""
        audio = self._ears.take()
        audio = audio[: len(audio) - len(audio) % self._format.bytes_per_frame]
        if not audio:
            return False
        end = self._ears.position_ms
        if self.turn is None:
            self._begin(end - self._format.duration_ms(len(audio)))
        assert self.turn is not None
        self.turn.answer = answer
        self._over(TurnOver(end, audio), end, audio)
        return True

    def clear(self) -> None:
        """Forget what is not a turn yet."""
        self._ears.take()
        self.turn = None

    async def understood(self) -> None:
        """Wait until all that was heard so far has been told."""
        await self._noticed.join()

    def close(self) -> asyncio.Task[None]:
        """Hear no more. The task that is returned ends soon."""
        self._task.cancel()
        return self._task

    # -- inside

    def _done(self, task: asyncio.Task[None]) -> None:
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            self._listener.on_failure(failure)

    def _begin(self, at_ms: float) -> None:
        self._turns += 1
        self.turn = Turn(self._turns, at_ms)

    def _began(self, at_ms: float) -> None:
        if self.turn is None:
            self._begin(at_ms)
            self._listener.on_speech_started(at_ms)
        elif self._asks:
            self._pauses += 1
            self._listener.on_resumed()

    def _over(self, heard: TurnOver, at_ms: float, audio: bytes) -> None:
        turn = self.turn
        assert turn is not None
        turn.end_ms = at_ms
        self._pauses += 1
        self._notice(heard, audio)
        self.turn = None
        self._listener.on_speech_stopped(at_ms)

    def _notice(self, heard: Speaking | Paused | TurnOver, audio: bytes) -> None:
        assert self.turn is not None
        if self._noticed.full():
            self._noticed.get_nowait()
            self._noticed.task_done()
        self._noticed.put_nowait((heard, self.turn, self._pauses, audio))

    async def _understand_all(self) -> None:
        told: tuple[int, str] = (0, "")
        while True:
            heard, turn, pauses, audio = await self._noticed.get()
            if isinstance(heard, TurnOver):
                self._listener.on_turn(turn, await self._understand(audio))
            elif turn is self.turn and pauses == self._pauses:
                text = await self._words(audio)
                # Unless it is over meanwhile, or goes on.
                if turn is self.turn and pauses == self._pauses:
                    told = self._tell(heard, turn, text, told)
            self._noticed.task_done()

    def _tell(
        self, heard: Speaking | Paused, turn: Turn, text: str, told: tuple[int, str]
    ) -> tuple[int, str]:
        """Tell words of a turn that is under way, unless they were told; returns the last that were."""
        if isinstance(heard, Paused):
            self._listener.on_pause(text)
        elif text and told != (turn.number, text):
            self._listener.on_user_partial(text)
            return turn.number, text
        return told

    async def _words(self, audio: bytes) -> str:
        try:
            return (await self._voice.hear(audio, self._format)).strip()
        except VoiceEngineError:
            return ""

    async def _understand(self, audio: bytes) -> str:
        words = await self._words(audio)
        if words or not self._transcripts:
            return words
        found = self._transcripts[self._wordless % len(self._transcripts)]
        self._wordless += 1
        return found
