"""One turn of the user for a recogniser that is called: its audio, and the transcript that is made of it meanwhile.

The audio is held as one open stretch; a long turn is cut into several, each transcribed for good when it is closed, so
that no turn is too long for the recogniser or for the memory. The transcript of the open stretch is made when the user
falls silent, on the chance that the turn is over, and thrown away when it is not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from voxengine.errors import ProviderError
from voxengine.providers.cascade.parts import INPUT_RATE, Transcription
from voxengine.providers.cascade.turn import Turn
from voxengine.providers.cascade.watch import as_provider_error

if TYPE_CHECKING:
    from voxengine.providers.cascade.parts import Samples

__all__ = ["Transcribe", "Utterance"]

#: Where a stretch without a pause is cut: at the least likely speech within its last so many samples.
_CUT_WITHIN = 4 * INPUT_RATE


class Transcribe(Protocol):
    """The recogniser, with its budget, for one session."""

    async def __call__(self, samples: Samples, *, partial: bool) -> Transcription:
        """Raises ProviderError."""


class Utterance(Turn):
    """A turn of the user whose audio is held here.

    `changed()` is called whenever `text` or `failure` has become known.
    """

    def __init__(
        self, item_id: str, transcribe: Transcribe, changed: Callable[[], None], *, segment_s: float
    ) -> None:
        super().__init__(item_id)
        self._transcribe = transcribe
        self._changed = changed
        self._limit = int(segment_s * INPUT_RATE)
        self._frames: list[Samples] = []
        #: Probability of speech of each frame.
        self._voice: list[float] = []
        self._samples = 0
        self._closed: list[asyncio.Task[Transcription]] = []
        #: How many of them the partials know of.
        self._settled = 0
        self._decoding = False
        self._open: asyncio.Task[Transcription] | None = None
        self._partial: asyncio.Task[None] | None = None

    # -- audio

    def add(self, frames: Iterable[Samples], probability: float) -> None:
        """Append audio."""
        for frame in frames:
            self._frames.append(frame)
            self._voice.append(probability)
            self._samples += len(frame)
        if self._samples >= self._limit and not self._decoding:
            self._close_stretch(self._best_cut())

    @property
    def open_ms(self) -> float:
        """Length of the open stretch."""
        return self._samples * 1000 / INPUT_RATE

    def _best_cut(self) -> int:
        """How many frames the stretch keeps: up to where speech is least likely, near its end."""
        size = len(self._frames[-1])
        first = max(1, len(self._voice) - _CUT_WITHIN // size)
        return (
            min(range(first, len(self._voice)), key=lambda i: (self._voice[i], -i), default=first)
            + 1
        )

    def _close_stretch(self, n: int) -> None:
        self._stop_partial()
        audio = _joined(self._frames[:n])
        del self._frames[:n], self._voice[:n]
        self._samples = sum(map(len, self._frames))
        self._closed.append(self._start(audio))

    def _start(self, audio: Samples) -> asyncio.Task[Transcription]:
        task = asyncio.ensure_future(self._transcribe(audio, partial=False))
        task.add_done_callback(_outcome_seen)
        return task

    async def catch_up(self, at_most: int) -> None:
        """Wait until no more than so many closed stretches are still to be transcribed."""
        while len(waiting := [t for t in self._closed if not t.done()]) > at_most:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)

    async def finished(self) -> None:
        """Wait until all that was begun is transcribed."""
        if tasks := self._tasks():
            await asyncio.wait(tasks)

    # -- transcript

    def decode(self) -> None:
        """Begin to transcribe what there is, as if the turn were over."""
        if self._decoding:
            return
        self._decoding = True
        self._stop_partial()
        if self._samples > self._limit // 2:
            # Long enough to be closed at this pause: then the work is not lost if the user goes on.
            self._close_stretch(len(self._frames))
        elif self._samples:
            self._open = self._start(_joined(self._frames))
        for task in self._tasks():
            task.add_done_callback(self._one_done)

    def _one_done(self, _: object) -> None:
        if self.ready:
            self._changed()

    def discard(self) -> None:
        """The user goes on: the transcript of the open stretch is of no use."""
        self._decoding = False
        if self._open is not None:
            self._open.cancel()
            self._open = None

    def _tasks(self) -> list[asyncio.Task[Transcription]]:
        return [*self._closed, *([self._open] if self._open is not None else [])]

    @property
    def ready(self) -> bool:
        """Whether the transcript was asked for and is there, or has failed."""
        return self._decoding and all(t.done() for t in self._tasks())

    def result(self) -> tuple[str, ProviderError | None]:
        """The text of the whole turn, and the first failure of a stretch. Only when `ready`."""
        texts: list[str] = []
        failure: ProviderError | None = None
        for task in self._tasks():
            error = task.exception()
            if isinstance(error, Exception):
                failure = failure or as_provider_error(error, "speech recognition")
            elif error is None:
                texts.append(task.result().text.strip())
                self.language = task.result().language or self.language
        return " ".join(t for t in texts if t), failure

    # -- partial transcripts

    def decode_partial(self, shown: Callable[[str], None]) -> None:
        """Decode the open stretch as far as it goes, unless that is being done; `shown(text)` gets what is new."""
        if self._partial is not None or self._decoding or not self._samples:
            return
        for task in self._closed[self._settled :]:
            if not task.done():
                return
            self._settled += 1
            if not task.exception() and (longer := self.partials.close(task.result().text)):
                shown(longer)
        self._partial = asyncio.ensure_future(self._run_partial(_joined(self._frames), shown))
        self._partial.add_done_callback(_outcome_seen)

    async def _run_partial(self, audio: Samples, shown: Callable[[str], None]) -> None:
        try:
            guess = await self._transcribe(audio, partial=True)
        except ProviderError:
            # Superseded, or the recogniser is busy: there will be another one.
            return
        finally:
            if self._partial is asyncio.current_task():
                self._partial = None
        longer = self.partials.update(guess.text)
        if longer is not None:
            shown(longer)

    def _stop_partial(self) -> None:
        if self._partial is not None:
            self._partial.cancel()
            self._partial = None

    def close(self) -> list[asyncio.Task[Any]]:
        """Stop all work; returns the tasks that are on their way out."""
        tasks: list[asyncio.Task[Any]] = [*self._tasks()]
        if self._partial is not None:
            tasks.append(self._partial)
        for task in tasks:
            task.cancel()
        return [t for t in tasks if not t.done()]


def _joined(frames: list[Samples]) -> Samples:
    import numpy as np

    return np.concatenate(frames)


def _outcome_seen(task: asyncio.Task[Any]) -> None:
    """Nobody may want the outcome any more; that is no reason for a warning."""
    if not task.cancelled():
        task.exception()
