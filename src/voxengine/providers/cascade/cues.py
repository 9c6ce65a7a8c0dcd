"""Ties the words of which a voice says when they are spoken to the text that they were made of.

A voice tells its words much as they were given to it, but not to the letter: with or without signs and spaces, two in
one, a word in parts, a number written out. So letters are compared, nothing else, and a word that cannot be found
waits for the next one that can.
"""

from __future__ import annotations

from typing import NamedTuple

from voxengine.providers.cascade.parts import SpokenWord
from voxengine.providers.cascade.wording import Word

__all__ = ["Cues", "Line"]

#: Words that may be skipped to find the one that is being said: a number that is written out, an address.
_SKIP = 8


class Line(NamedTuple):
    """Words of the text that are spoken from `start_ms` to `end_ms` of the speech."""

    text: str
    start_ms: float
    end_ms: float


class Cues:
    """The words of one speech, and how many of them were said."""

    def __init__(self) -> None:
        self.words: list[Word] = []
        self._letters: list[str] = []
        #: The words up to here were said, and so many letters of the one that follows.
        self.said = 0
        self._into = 0
        #: Where the words begin of which it is not known yet when they end.
        self._since: float | None = None

    def add(self, word: Word) -> None:
        """A further word of the text."""
        self.words.append(word)
        self._letters.append(_letters(word.said))

    def hear(self, spoken: SpokenWord) -> Line | None:
        """A word is spoken: the text that has been said with it, None if no word of the text ends here."""
        since = spoken.start_ms if self._since is None else min(self._since, spoken.start_ms)
        letters = _letters(spoken.text)
        place = self._find(letters) if letters else None
        if place is None or place[0] == self.said:
            if letters:
                self._since = since
            if place is not None:
                self._into = place[1]
            return None
        begin, (self.said, self._into) = self.said, place
        self._since = spoken.end_ms if self._into else None
        return Line(self._text(begin, self.said), since, max(since, spoken.end_ms))

    def rest(self) -> str:
        """The text of all words that were not said yet; they count as said from now on."""
        begin, self.said, self._into, self._since = self.said, len(self.words), 0, None
        return self._text(begin, self.said)

    def go_to(self, word: int) -> None:
        """The voice begins again with this word."""
        self.said, self._into, self._since = word, 0, None

    def with_letters(self, begin: int, end: int | None = None) -> bool:
        """Whether any of these words can be heard."""
        return any(self._letters[begin:end])

    def up_to(self, spoken: str, begin: int) -> str:
        """The text up to these words, which were spoken from word `begin` on; they themselves where they differ."""
        place = self._match(_letters(spoken), begin, 0)
        if place is None or place[1]:
            return " ".join(part for part in (self._text(0, begin), spoken.strip()) if part)
        return self._text(0, place[0])

    def _text(self, begin: int, end: int) -> str:
        return "".join(word.text for word in self.words[begin:end])

    def _find(self, letters: str) -> tuple[int, int] | None:
        found = self._match(letters, self.said, self._into)
        for word in range(self.said + 1, min(self.said + 1 + _SKIP, len(self.words))):
            if found is not None:
                break
            found = self._match(letters, word, 0)
            if found is not None and found[1]:
                found = None  # the beginning of another word proves nothing
        return found

    def _match(self, letters: str, word: int, into: int) -> tuple[int, int] | None:
        """Where the text is behind these letters: how many words are over, and how far the next one is."""
        while word < len(self.words):
            here = self._letters[word][into:]
            if len(letters) < len(here):
                return (word, into + len(letters)) if here.startswith(letters) else None
            if not letters.startswith(here):
                return None
            word, into, letters = word + 1, 0, letters[len(here) :]
            if not letters:
                return word, 0
        return None


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())
