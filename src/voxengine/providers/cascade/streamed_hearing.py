"""Hearing with a recogniser that is kept open: it is given all audio as it comes, and its words find their turns.

Our own VAD says when the user speaks, for a barge-in must not wait for a network. The end of a turn is found by the
turn detector, with the words that the recogniser was asked for when the user fell silent; or by the recogniser itself,
where it does that.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from voxengine.audio.formats import AudioFormat
from voxengine.audio.resample import Converter
from voxengine.errors import ProviderError
from voxengine.providers.cascade.hearing import Hearing
from voxengine.providers.cascade.kept_open import KeptOpen
from voxengine.providers.cascade.listener import Listener
from voxengine.providers.cascade.parts import (
    INPUT_RATE,
    StreamingSTT,
    STTEagerEnd,
    STTEmotion,
    STTEvent,
    STTFinal,
    STTPartial,
    STTResumed,
    STTTurnEnded,
    STTUsage,
)
from voxengine.providers.cascade.streamed_turn import StreamedTurn
from voxengine.providers.cascade.turn import Turn

if TYPE_CHECKING:
    from voxengine.providers.cascade.parts import Samples

__all__ = ["StreamedHearing"]

#: Seconds after the end of speech without a word of a recogniser that finds turns by itself, after which it is asked.
_SILENT_S = 3.0
#: The same where it has ended the turn before, and what was heard since may have been a noise.
_SILENT_AGAIN_S = 1.0
#: Speech that began so many ms before the recogniser declared a turn over cannot have been heard by it.
_UNHEARD_MS = 1000.0
#: Words for which the VAD found no speech wait so many ms for it.
_EARLY_MS = 2000.0


class StreamedHearing(Hearing):
    """The ears of one session, with a `StreamingSTT`.

    Args:
        others: as `Hearing` takes them.
    """

    def __init__(
        self,
        listener: Listener,
        *,
        stt: StreamingSTT,
        session: str,
        language: str | None,
        vocabulary: Sequence[str],
        **others: Any,
    ) -> None:
        super().__init__(listener, **others)
        #: The recogniser says when a turn is over.
        self.by_stt = False
        self._stt = stt
        self._to_stt = (
            None
            if stt.sample_rate == INPUT_RATE
            else Converter(
                AudioFormat(sample_rate=INPUT_RATE), AudioFormat(sample_rate=stt.sample_rate)
            )
        )
        self._ears = KeptOpen(
            stt,
            self,
            budget=self._settings.stt_timeout,
            session=session,
            language=language,
            vocabulary=vocabulary,
        )
        #: Turns whose words were asked for, once for each `finalize` that was not answered yet.
        self._pending: deque[StreamedTurn] = deque()
        self._due: asyncio.TimerHandle | None = None
        #: Final words without speech, and where in the audio they came.
        self._early: list[tuple[float, str, str | None]] = []
        self._watchdog: asyncio.TimerHandle | None = None
        self._said_at = 0.0
        self._padded_ms = 0.0
        self._billed = 0.0
        self._counted = 0.0

    def choose(self, kind: str | None) -> None:
        """How turns are found: as `Hearing.choose`; "server_vad" by us, also where the recogniser could."""
        super().choose(kind)
        self.by_stt = self._stt.detects_turns and kind != "server_vad"

    def configure(self, options: Mapping[str, Any]) -> None:
        """Find turns with these settings from here on; the recogniser's own detection at its next opening."""
        super().configure(options)
        self._ears.configure(options)

    async def open(self) -> None:
        """Open the stream.

        Raises:
            ProviderError: it could not be opened.
        """
        await self._ears.open()

    @property
    def seconds(self) -> float:
        """Seconds of audio that the recogniser bills, as far as it says; else those that it was fed."""
        self._counted = max(self._counted, self._billed or self._ears.fed_s)
        return self._counted

    @property
    def _detects(self) -> bool:
        """Whether the recogniser's word ends turns, as things stand."""
        return self.by_stt and not self.manual

    # -- what is passed on

    def _pass_on(self, frame: Samples) -> None:
        import numpy as np

        self._padded_ms = 0.0
        self._feed_stt((frame * 32768).astype(np.int16).tobytes())

    def _feed_stt(self, pcm16: bytes) -> None:
        self._ears.feed(pcm16 if self._to_stt is None else self._to_stt.process(pcm16))

    def _stalled(self, turn: Turn) -> None:
        """A recogniser that finds turns by itself has to hear the silence that is not sent."""
        if self._detects:
            missing = self._quiet_ms() - self._padded_ms
            self._padded_ms += missing
            self._feed_stt(bytes(round(missing * INPUT_RATE / 1000) * 2))

    # -- turns

    def _new_turn(self) -> Turn:
        turn = StreamedTurn(self._new_id(), self._finalize)
        since = self._received_ms() - _EARLY_MS
        for at, text, language in self._early:
            if at >= since:
                turn.final(text, language)
        self._early.clear()
        return turn

    def _speaks(self, turn: Turn) -> None:
        assert isinstance(turn, StreamedTurn)
        turn.stretches += 1
        self._stop_watchdog()

    def _silent(self, turn: Turn) -> None:
        if self._detects:
            self._said_at = self._clock()
            self._watch(self._said_at + self._settings.stt_timeout)
        elif not self.manual:
            turn.decode()

    def _wait_ms(self, turn: Turn) -> float:
        return 0.0 if self._detects else super()._wait_ms(turn)

    def _decide(self, turn: Turn) -> None:
        self._stop_watchdog()
        assert isinstance(turn, StreamedTurn)
        turn.keep()
        super()._decide(turn)

    def _open_turn(self) -> StreamedTurn | None:
        turn = self._turn
        assert turn is None or isinstance(turn, StreamedTurn)
        return turn if turn is not None and not turn.decided else None

    # -- what was asked for

    def _finalize(self, turn: StreamedTurn) -> None:
        self._pending.append(turn)
        self._await_answer()
        self._ears.finalize()

    def _await_answer(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if self._pending:
            timeout = self._settings.stt_timeout
            self._due = asyncio.get_running_loop().call_later(timeout, self._too_late)

    def _too_late(self) -> None:
        self._due = None
        took = f"speech recognition took longer than {self._settings.stt_timeout:g} s"
        failure = ProviderError(took, code="timeout", retryable=True)
        self._fail(self._pending[0], failure)
        self._ears.late(failure)
        self._await_answer()

    def _answered(self) -> None:
        if not self._pending:
            return
        turn = self._pending.popleft()
        self._ears.answered()
        self._await_answer()
        turn.keep()
        turn.answered()
        if turn.ready:
            self._known(turn)

    def _fail(self, turn: StreamedTurn, failure: ProviderError) -> None:
        while turn in self._pending:
            self._pending.remove(turn)
            self._ears.answered()
        turn.fail(failure)
        if not self._segmenter.speaking:
            turn.end()
        self._known(turn)

    # -- a recogniser that finds turns by itself

    def _watch(self, at_most: float) -> None:
        """Look after one that says nothing, until the time `at_most`."""
        self._stop_watchdog()
        at = min(self._said_at + self._patience_s(), at_most)
        loop = asyncio.get_running_loop()
        self._watchdog = loop.call_at(at, self._look, at, at_most)

    def _patience_s(self) -> float:
        turn = self._open_turn()
        return _SILENT_AGAIN_S if turn is not None and turn.nothing_new else _SILENT_S

    def _look(self, at: float, at_most: float) -> None:
        self._watchdog = None
        turn = self._open_turn()
        if turn is None or not self._detects or self._segmenter.speaking:
            return
        if self._said_at + self._patience_s() > at and at < at_most:
            self._watch(at_most)
        else:
            turn.decode()

    def _stop_watchdog(self) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None

    def _own_end(self, event: STTTurnEnded) -> None:
        if self._pending:
            self._pending[0].own_end(event.text, event.language)
            return
        turn = self._open_turn()
        if turn is None and event.text.strip():
            turn = self._unseen()
        if turn is None:
            return
        turn.own_end(event.text, event.language)
        if not self._detects:
            return
        turn.keep()
        speaks = self._segmenter.speaking
        began = self._received_ms() - self._segmenter.onset * 1000 / INPUT_RATE
        self._ears.forget((began + self._settings.preroll_ms) / 1000 if speaks else 0.0)
        if speaks and turn.stretches > 1 and began < _UNHEARD_MS:
            return  # the user has gone on already, and what is said now is heard as part of it
        turn.end()
        self._decide(turn)

    def _unseen(self) -> StreamedTurn:
        """Somebody spoke of whom the VAD knows nothing."""
        turn = self._new_turn()
        assert isinstance(turn, StreamedTurn)
        self._turn = turn
        if not self.manual:
            at = self._received_ms()
            self._listener.speech_started(turn, at)
            self._listener.speech_ended(turn, at, 0.0)
        return turn

    # -- what the recogniser says (`StreamUser`)

    def on_stt(self, event: STTEvent) -> None:
        """Take what the recogniser says."""
        self._said_at = self._clock()
        turn = self._pending[0] if self._pending else self._open_turn()
        match event:
            case STTPartial(text):
                if turn is not None:
                    self._show(turn, turn.guess(text))
            case STTFinal():
                self._final(turn, event)
            case STTTurnEnded():
                self._ears.went_well()
                self._own_end(event)
            case STTEagerEnd(text):
                if turn is not None and self._detects and not self._pending:
                    self._listener.eager(turn, turn.words_with(text))
            case STTResumed():
                if turn is not None:
                    self._listener.resumed(turn)
            case STTEmotion(scores):
                about = turn or self._turn
                if about is not None:
                    self._listener.felt(about, scores)
            case STTUsage(seconds):
                self._billed += seconds

    def _final(self, turn: StreamedTurn | None, event: STTFinal) -> None:
        if event.text.strip():
            self._ears.went_well()
            if turn is None and self.manual:
                turn = self._unseen()
            if turn is None:
                self._early.append((self._received_ms(), event.text, event.language))
                del self._early[:-8]
        if turn is not None:
            self._show(turn, turn.final(event.text, event.language))
        if event.asked:
            self._answered()

    def _show(self, turn: StreamedTurn, longer: str | None) -> None:
        if longer is not None and self.partials and turn is self._turn and not turn.decided:
            self._listener.partial(turn, longer)

    def unfinished(self) -> bool:
        """Whether words are still awaited."""
        return bool(self._pending) or self._open_turn() is not None

    def heard_again(self, whole: bool) -> None:
        """Forget the words that come once more."""
        self._await_answer()
        turns = {*self._pending, *([turn] if (turn := self._open_turn()) is not None else [])}
        for turn in turns:
            if whole:
                turn.rewind()
            else:
                turn.settle()

    def turn_lost(self, failure: ProviderError) -> None:
        """What was said cannot be written down."""
        turns = list(dict.fromkeys(self._pending))
        if (turn := self._open_turn()) is not None and turn not in turns:
            turns.append(turn)
        for turn in turns:
            self._fail(turn, failure)
        self._await_answer()

    def lost(self, failure: ProviderError) -> None:
        """There is no recogniser any more."""
        self._listener.deaf(failure)

    # -- on request

    async def clear(self) -> None:
        """Forget what was said and is not yet a turn, also what the recogniser has not told yet."""
        fed = self._fed
        await super().clear()
        self._stop_watchdog()
        self._early.clear()
        if fed:
            # What comes before the answer belongs to a turn that nobody asks for.
            StreamedTurn("", self._finalize).decode()

    def close(self) -> list[asyncio.Task[Any]]:
        """Stop all work; returns the tasks that are on their way out."""
        self._stop_watchdog()
        if self._due is not None:
            self._due.cancel()
            self._due = None
        return [*super().close(), asyncio.ensure_future(self._ears.close())]
