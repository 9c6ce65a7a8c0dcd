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
#: By the last so many shown words it is found out where a decode that differs goes on, ...
_ANCHOR = 4
#: ... no further than so many words from where that should be.
_REACH = 4


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

    @property
    def closed(self) -> int:
        """How many of the shown words belong to stretches that were closed."""
        return self._closed

    def rewind(self, closed: int) -> None:
        """All after the first `closed` words is heard once more."""
        self._closed = closed
        self._previous = None

    def _extend(self, words: list[str]) -> str | None:
        fresh = words[self._goes_on_at(words) :]
        if not fresh:
            return None
        # The sign behind the last word is as unsure as the word that would come next.
        fresh[-1] = fresh[-1].rstrip(_EDGES) or fresh[-1]
        self._words += fresh
        self.shown = " ".join([self.shown, *fresh] if self.shown else fresh)
        return self.shown

    def _goes_on_at(self, words: list[str]) -> int:
        """Index of the first word of a decode that was not shown yet.

        Earlier words may have been put in or left out since, so it is looked for behind the last words that were shown;
        where these are not found, nothing is certain enough to be shown.
        """
        shown = [_bare(w) for w in self._words[self._closed :]]
        if not shown:
            return 0
        bare = [_bare(w) for w in words]
        places = range(max(1, len(shown) - _REACH), min(len(bare), len(shown) + _REACH) + 1)
        best, found = 0, len(words)
        for place in sorted(places, key=lambda i: abs(i - len(shown))):
            tail = zip(reversed(bare[:place]), reversed(shown[-_ANCHOR:]), strict=False)
            match = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], tail))
            if match > best:
                best, found = match, place
        return found


def _same(pair: tuple[str, str]) -> bool:
    return _bare(pair[0]) == _bare(pair[1])


def _bare(word: str) -> str:
    return (word.strip(_EDGES) or word).casefold()
