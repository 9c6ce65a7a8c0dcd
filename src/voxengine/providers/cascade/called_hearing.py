"""Hearing with a recogniser that is called: it is given the audio of each turn when the user falls silent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxengine.providers.cascade.hearing import Hearing
from voxengine.providers.cascade.listener import Listener
from voxengine.providers.cascade.parts import INPUT_RATE, Transcription
from voxengine.providers.cascade.turn import Turn
from voxengine.providers.cascade.utterance import Transcribe, Utterance

if TYPE_CHECKING:
    from voxengine.providers.cascade.parts import Samples

__all__ = ["CalledHearing"]

#: Partial decodes take no more than one part in so many of the time: one that is running slows the final one down.
_PARTIAL_SHARE = 4


class CalledHearing(Hearing):
    """The ears of one session, with an `STT`.

    Args:
        transcribe: the recogniser, with its budget.
        others: as `Hearing` takes them.
    """

    def __init__(self, listener: Listener, *, transcribe: Transcribe, **others: Any) -> None:
        super().__init__(listener, **others)
        self._transcribe = transcribe
        self._partial_at = 0
        #: How long the last partial decode took, in ms.
        self._partial_took = 0.0

    def _new_turn(self) -> Turn:
        turn = Utterance(
            self._new_id(),
            self._timed,
            lambda: self._known(turn),
            segment_s=self._settings.segment_s,
        )
        return turn

    def _speaks(self, turn: Turn) -> None:
        self._partial_at = self._segmenter.position

    def _goes_on(self, turn: Turn) -> None:
        assert isinstance(turn, Utterance)
        segmenter = self._segmenter
        interval = max(self._settings.partial_ms, _PARTIAL_SHARE * self._partial_took)
        due = self._partial_at + interval * INPUT_RATE / 1000
        # Not in what may be the beginning of the pause: the final transcript must not queue behind a partial one.
        if self.partials and segmenter.voice_now and segmenter.position >= due:
            self._partial_at = segmenter.position
            turn.decode_partial(lambda text: self._listener.partial(turn, text))

    async def _timed(self, samples: Samples, *, partial: bool) -> Transcription:
        if not partial:
            return await self._transcribe(samples, partial=False)
        begun = self._clock()
        try:
            return await self._transcribe(samples, partial=True)
        finally:
            self._partial_took = (self._clock() - begun) * 1000
