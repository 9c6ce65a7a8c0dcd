"""What was said so far in a turn that goes on, without listening to all of it again each time."""

from __future__ import annotations

from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import understand_words

__all__ = ["WordsSoFar"]

#: No word that is expected lasts longer. Where none was found, none begins that would not have ended by now.
_LONGEST_WORD_MS = 4000.0


class WordsSoFar:
    """The words of one turn."""

    def __init__(self, format: AudioFormat) -> None:
        self._format = format
        self._words: list[str] = []
        self._from_ms = 0.0

    def listen(self, audio: bytes) -> str:
        """`audio` is all of the turn, longer each time; returns the words that are completely in it."""
        format = self._format
        start = format.n_bytes(self._from_ms)
        found = understand_words(audio[start:], format)
        self._words += [word for word, _, _ in found]
        if found:
            self._from_ms = format.duration_ms(start) + found[-1].end_ms
        self._from_ms = max(self._from_ms, format.duration_ms(len(audio)) - _LONGEST_WORD_MS)
        return " ".join(self._words)
