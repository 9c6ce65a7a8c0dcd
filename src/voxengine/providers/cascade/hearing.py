"""Hearing: from bytes of the microphone to turns of the user with their words.

Frames go through the VAD in line, as they come. Silence is measured in audio, not in time, so that a network that
delivers late does not end anybody's turn; only when no audio comes any more (a muted microphone, the end of a file)
does the clock go on where the audio stopped.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from voxengine.audio.formats import AudioFormat
from voxengine.audio.resample import Converter
from voxengine.errors import MessageError, ProviderError
from voxengine.providers.cascade.listener import Listener
from voxengine.providers.cascade.parts import INPUT_RATE, TurnDetector, VADStream
from voxengine.providers.cascade.segmenter import Change, Segmenter
from voxengine.providers.cascade.settings import CascadeSettings
from voxengine.providers.cascade.turn import Turn
from voxengine.providers.cascade.watch import as_provider_error

if TYPE_CHECKING:
    from voxengine.providers.cascade.parts import Samples

__all__ = ["Hearing"]

#: Silence after speech that still goes into the turn's audio; more of it teaches the recogniser nothing. In ms.
_TAIL_MS = 600.0
#: Speech in which no words were found is heard again together with what follows it within so many ms.
_REJOIN_MS = 2000.0
#: A large chunk is worked on in pieces of so many ms (about 4 ms of work each), between which the loop may run.
_SLICE_MS = 1000
#: Stretches of a turn that may wait for the recogniser before the sender has to wait.
_MAX_WAITING = 4
#: The longest that a sender of large chunks is waited for before it counts as stalled. In ms.
_MAX_STALL_MS = 1000.0


class Hearing(ABC):
    """The ears of one session: what is the same for a recogniser that is called and one that is kept open.

    Args:
        format: what `feed` takes.
        new_id: makes the id of the next user's item.
        partials: whether partial transcripts are wanted; else they are not made.
    """

    def __init__(
        self,
        listener: Listener,
        *,
        format: AudioFormat,
        vad: VADStream,
        detector: TurnDetector,
        settings: CascadeSettings,
        new_id: Callable[[], str],
        partials: bool,
    ) -> None:
        self.partials = partials
        #: The application ends the turns, with `commit`.
        self.manual = False
        self._listener = listener
        self._format = format
        self._converter = Converter(format, AudioFormat(sample_rate=INPUT_RATE))
        self._segmenter = Segmenter(
            vad,
            start=settings.vad_start,
            end=settings.vad_end,
            end_silence_ms=settings.end_silence_ms,
            preroll_ms=settings.preroll_ms + max(settings.min_speech_ms, settings.barge_in_ms),
        )
        self._detector = detector
        self._settings = settings
        self._new_id = new_id
        self._clock = asyncio.get_running_loop().time
        self._order = asyncio.Lock()
        self._rest: Samples | None = None
        #: Frames since the last one that went into a turn.
        self._missed = 0
        #: The turn that is being said, or was said last.
        self._turn: Turn | None = None
        #: Committed turns whose words are not there yet.
        self._finishing: set[Turn] = set()
        self._fed = False
        self._heard_at = self._clock()
        self._stall_ms = settings.stall_ms
        #: Silence that ends a turn, where that was asked for; None leaves it to the detector.
        self._silence: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._seconds = 0.0

    def choose(self, kind: str | None) -> None:
        """How turns are found: a kind of the capabilities' `turn_detection`, None for the usual one."""
        self.manual = kind == "none"

    def configure(self, options: Mapping[str, Any]) -> None:
        """Find turns with these settings, of OpenAI's turn detection, from here on."""
        silence = options.get("silence_duration_ms")
        self._silence = None if silence is None else float(silence)
        settings = self._settings.with_turn_options(options)
        self._segmenter.configure(
            start=settings.vad_start, end=settings.vad_end, preroll_ms=settings.preroll_ms
        )

    async def open(self) -> None:  # noqa: B027
        """Get ready to hear.

        Raises:
            ProviderError: the recogniser cannot be had.
        """

    @property
    def seconds(self) -> float:
        """Seconds of audio that the recogniser was given."""
        return self._seconds

    # -- audio in

    async def feed(self, audio: bytes) -> None:
        """Take the next audio, of any length. Calls that overlap are served in their order.

        Raises:
            ProviderError: the VAD failed.
        """
        step = self._format.n_bytes(_SLICE_MS)
        async with self._order:
            self._stall_ms = self._stall_for(self._format.duration_ms(len(audio)))
            for start in range(0, len(audio), step):
                if start:
                    await asyncio.sleep(0)
                if self._closed:
                    return
                piece = audio[start : start + step] if len(audio) > step else audio
                self._take(self._converter.process(piece))
                if self._turn is not None:
                    await self._turn.catch_up(_MAX_WAITING)
            self._seconds += self._format.duration_ms(len(audio)) / 1000

    def _stall_for(self, chunk_ms: float) -> float:
        # Who sends half a second at a time is silent for half a second in between.
        return max(self._settings.stall_ms, min(2 * chunk_ms, _MAX_STALL_MS))

    def _take(self, pcm16: bytes) -> None:
        import numpy as np

        samples = np.frombuffer(pcm16, "<i2").astype(np.float32)
        samples /= 32768
        if self._rest is not None:
            samples = np.concatenate((self._rest, samples))
        size = self._segmenter.frame_samples
        whole = len(samples) - len(samples) % size
        self._fed = True
        self._heard_at = self._clock()
        self._rest = samples[whole:]
        for start in range(0, whole, size):
            try:
                self._frame(samples[start : start + size])
            except ProviderError:
                raise
            except Exception as failure:
                raise as_provider_error(failure, "voice activity detection") from failure
        if self._turn is not None and not self._turn.decided:
            # The rest, not yet a frame, counts as silence too: on average that decides half a frame earlier.
            self._check()
            if self._timer is None and not self._turn.decided:
                self._wake_in(self._stall_ms)

    def _frame(self, frame: Samples) -> None:
        segmenter = self._segmenter
        self._missed += 1
        self._pass_on(frame)
        change = segmenter.push(frame, self._listener.min_speech_ms())
        if change is Change.STARTED:
            self._started()
            return
        turn = self._turn
        if turn is None or turn.decided:
            return
        if (
            segmenter.speaking
            or segmenter.position - segmenter.voice_end < _TAIL_MS * INPUT_RATE / 1000
        ):
            turn.add((frame,), segmenter.probability)
            self._missed = 0
        if change is Change.ENDED:
            self._ended()
        elif segmenter.speaking:
            self._goes_on(turn)
        else:
            self._check()

    def _pass_on(self, frame: Samples) -> None:  # noqa: B027
        """Each frame comes by here before it is known whether there is speech in it."""

    def _goes_on(self, turn: Turn) -> None:  # noqa: B027
        """The user speaks, and another frame of that has come."""

    # -- what happens to a turn

    def _started(self) -> None:
        segmenter, turn = self._segmenter, self._turn
        onset_ms = segmenter.onset * 1000 / INPUT_RATE
        pause_ms = (segmenter.onset - segmenter.last_voice) * 1000 / INPUT_RATE
        if turn is not None and not turn.decided:
            self._detector.observe_pause(pause_ms, False)
            turn.discard()
        elif turn is not None and self._belongs_to(turn, onset_ms, pause_ms):
            self._detector.observe_pause(pause_ms, False)
            turn.reopen()
        else:
            if turn is not None:
                self._detector.observe_pause(turn.pause_ms, True)
            turn = self._turn = self._new_turn()
        frames = segmenter.take_preroll()
        turn.add(frames[-self._missed :], segmenter.probability)
        self._missed = 0
        self._speaks(turn)
        self._listener.speech_started(turn, onset_ms)

    def _speaks(self, turn: Turn) -> None:  # noqa: B027
        """Speech began in this turn, or began again."""

    def _belongs_to(self, turn: Turn, onset_ms: float, pause_ms: float) -> bool:
        """Whether speech that starts now belongs to a turn that was declared over."""
        if turn.empty:
            # A word alone is easily taken for a noise; with what follows it is understood.
            return pause_ms < _REJOIN_MS
        return self._listener.goes_on(turn, self._received_ms() - onset_ms)

    @abstractmethod
    def _new_turn(self) -> Turn:
        """A turn that begins."""

    def _ended(self) -> None:
        """The user fell silent. Perhaps the turn is over."""
        turn = self._turn
        assert turn is not None
        turn.speech_ms += self._segmenter.voiced * 1000 / INPUT_RATE
        self._silent(turn)
        self._listener.speech_ended(turn, self._voice_end_ms(), self._silence_ms())
        self._check()

    def _silent(self, turn: Turn) -> None:
        """Speech ended: the recogniser starts at once, while we wait."""
        turn.decode()

    def _known(self, turn: Turn) -> None:
        """The words of a turn are there."""
        if turn in self._finishing:
            self._finishing.discard(turn)
            self._listener.transcribed(turn)
        elif turn is self._turn:
            self._check()

    def _check(self) -> None:
        """Whether the silence has been long enough for what was said."""
        turn = self._turn
        if (
            turn is None
            or turn.decided
            or self.manual
            or self._segmenter.speaking
            or not turn.ready
        ):
            return
        if self._silence_ms() >= self._wait_ms(turn):
            self._decide(turn)

    def _decide(self, turn: Turn) -> None:
        """The turn is over, and its words are there."""
        self._stop_timer()
        turn.decided = True
        turn.pause_ms = self._silence_ms()
        text, failure = turn.result()
        turn.empty = not text and failure is None
        self._listener.turn_ended(turn, self._voice_end_ms())

    # -- time

    def _received_ms(self) -> float:
        rest = len(self._rest) if self._rest is not None else 0
        return (self._segmenter.position + rest) * 1000 / INPUT_RATE

    def _voice_end_ms(self) -> float:
        return self._segmenter.voice_end * 1000 / INPUT_RATE

    def _quiet_ms(self) -> float:
        """How long no audio has come."""
        return (self._clock() - self._heard_at) * 1000

    def _silence_ms(self) -> float:
        silence = self._received_ms() - self._voice_end_ms()
        quiet = self._quiet_ms()
        return silence + quiet if quiet >= self._stall_ms - 0.5 else silence

    def _wait_ms(self, turn: Turn) -> float:
        """Silence after which the turn is over: as was asked for, or as the detector thinks right."""
        if self._silence is not None:
            return self._silence
        return self._detector.wait_ms(turn.text, turn.speech_ms)

    def _wake_in(self, ms: float) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(max(ms, 1.0) / 1000, self._woken)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stalled(self, turn: Turn) -> None:  # noqa: B027
        """No audio comes any more, and the turn is not over yet."""

    def _woken(self) -> None:
        """Look whether audio still comes, and go on by the clock if it does not."""
        self._timer = None
        turn = self._turn
        if turn is None or turn.decided or self.manual:
            return
        left = self._stall_ms - self._quiet_ms()
        if left > 0.5:
            self._wake_in(left)
            return
        self._stalled(turn)
        if self._segmenter.end() is Change.ENDED:
            self._ended()
        else:
            self._check()
        if not turn.decided and turn is self._turn:
            missing = self._wait_ms(turn) - self._silence_ms()
            # Until the words are there, `_known` is what comes next; the timer only looks after it.
            self._wake_in(missing if missing > 0 else self._stall_ms)

    # -- on request

    async def commit(self) -> None:
        """Declare what was said so far a turn.

        Raises:
            MessageError: there is nothing to commit.
        """
        async with self._order:
            turn = self._turn if self._turn is not None and not self._turn.decided else None
            if turn is None and not (self.manual and self._fed):
                raise MessageError(
                    "there is no audio to commit: send some first",
                    code="input_audio_buffer_commit_empty",
                )
            turn = turn or self._new_turn()
            if self._segmenter.end() is Change.ENDED:
                turn.speech_ms += self._segmenter.voiced * 1000 / INPUT_RATE
            self._stop_timer()
            self._turn, self._fed = None, False
            turn.decided = True
            turn.decode()
            self._listener.committed(turn, self._received_ms())
            if turn.ready:
                self._listener.transcribed(turn)
                return
            self._finishing.add(turn)
            if len(self._finishing) > _MAX_WAITING:
                await turn.finished()

    async def clear(self) -> None:
        """Forget what was said and is not yet a turn."""
        async with self._order:
            if self._turn is not None and not self._turn.decided:
                self._turn.close()
                self._turn = None
            self._forget()

    @property
    def user_speaks(self) -> bool:
        """Whether the user is speaking right now."""
        return self._segmenter.speaking

    @property
    def finishing(self) -> bool:
        """Whether a committed turn is still being transcribed."""
        return bool(self._finishing)

    async def finished(self) -> None:
        """Wait until all committed turns have their words."""
        while self._finishing:
            await asyncio.gather(*(turn.finished() for turn in self._finishing))
            await asyncio.sleep(0)

    def _forget(self) -> None:
        self._stop_timer()
        self._segmenter.reset()
        self._rest, self._missed, self._fed = None, 0, False

    def close(self) -> list[asyncio.Task[Any]]:
        """Stop all work; returns the tasks that are on their way out."""
        self._closed = True
        self._stop_timer()
        turns = [*self._finishing, *([self._turn] if self._turn is not None else [])]
        self._turn = None
        self._finishing.clear()
        return [task for turn in turns for task in turn.close()]
