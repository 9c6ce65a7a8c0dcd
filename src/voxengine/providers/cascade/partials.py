"""Partial transcripts that never flicker.

A recogniser that decodes the same growing stretch of speech again and again changes its mind about the last words, and
about commas. Only the words on which two successive decodes agree are shown, and what was once shown stays: every
partial starts with the one before it.
"""

from __future__ import annotations

from itertools import takewhile

__all__ = ["StablePrefix"]

#: Signs at a word's edges that come and go from one decode to the next.
_EDGES = ".,;:!?…-–—\"'“”‘’()[]"


class StablePrefix:
    """What may be shown of one turn. Pure: text in, text out."""

    def __init__(self) -> None:
        #: The partial text shown so far.
        self.shown = ""
        self._words: list[str] = []
        self._previous: list[str] | None = None
        #: How many of the shown words belong to stretches that were closed.
        self._closed = 0

    def update(self, text: str) -> str | None:
        """Take the next decode of the open stretch; returns the new partial if it is longer, else None."""
        words = text.split()
        previous, self._previous = self._previous, words
        if previous is None:
            return None
        agreed = sum(1 for _ in takewhile(_same, zip(previous, words, strict=False)))
        return self._extend(words[:agreed])

    def close(self, text: str) -> str | None:
        """The open stretch ends, `text` is its final transcript; another stretch of the same turn follows."""
        longer = self._extend(text.split())
        self._closed = len(self._words)
        self._previous = None
        return longer

    def _extend(self, words: list[str]) -> str | None:
        # Counted and not compared: a word that changed after it was shown stays as it is, and the next ones follow.
        fresh = words[len(self._words) - self._closed :]
        if not fresh:
            return None
        self._words += fresh
        # The sign behind the last word is as unsure as the word that would come next.
        last = self._words[-1] = self._words[-1].rstrip(_EDGES) or self._words[-1]
        self.shown = " ".join([self.shown, *fresh[:-1], last]) if self.shown else " ".join([*fresh[:-1], last])
        return self.shown


def _same(pair: tuple[str, str]) -> bool:
    one, other = pair
    return (one.strip(_EDGES) or one).casefold() == (other.strip(_EDGES) or other).casefold()
