"""Where words are in the speech of one answer. Pure.

The vendor counts from the beginning of a context. An answer may need several contexts, one after the other (they end by
themselves when nothing comes for a second), so what is told of each is moved by the speech before it. Whether the count
begins anew after a flush is not documented; a word that would be spoken before the last one shows that it does.
"""

from __future__ import annotations

from voxengine.providers.cartesia.codec import Timestamps
from voxengine.providers.cascade.parts import SpokenWord

__all__ = ["Places"]

#: Words may overlap by so much. Milliseconds.
_OVERLAP_MS = 50.0
#: Languages in whose writing no blanks stand between words.
_WITHOUT_BLANKS = ("zh", "ja", "th")


class Places:
    """The words of one answer. `audio_ms` is how much speech has come so far."""

    def __init__(self, language: str | None) -> None:
        self.audio_ms = 0.0
        self._blank = "" if (language or "").startswith(_WITHOUT_BLANKS) else " "
        #: From where the vendor counts, where the last word ends, and to which flush that belongs.
        self._from_ms = 0.0
        self._last_ms = 0.0
        self._flush: int | None = None

    def next_context(self) -> None:
        """What is told from now on is of a new context."""
        self._from_ms = self._last_ms = self.audio_ms
        self._flush = None

    def words(self, told: Timestamps) -> tuple[SpokenWord, ...]:
        """The words that are told of, where they are in the answer."""
        found = told.word_timestamps
        if found is None or not found.words or not found.start:
            return ()
        if told.flush_id != self._flush:
            if found.start[0] * 1000 + self._from_ms + _OVERLAP_MS < self._last_ms:
                self._from_ms = self.audio_ms
            self._flush = told.flush_id
        spoken = []
        for word, start, end in zip(found.words, found.start, found.end, strict=False):
            begins = self._from_ms + start * 1000
            self._last_ms = max(begins, self._from_ms + end * 1000)
            spoken.append(SpokenWord(f"{self._blank}{word}", begins, self._last_ms))
        return tuple(spoken)
