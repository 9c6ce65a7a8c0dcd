"""The text of an answer, and where in its audio each word is spoken.

The text comes in one stream of messages, the places of the words in another, which names each word once more as it is
spoken ("hello", without its comma or its blank). Here the two are put together: a piece of text is given on when the
place of its last word is known. Text without a place is not kept for long: where the audio of an item has come so far
that its places should have (`PATIENCE_MS`), or the item or the answer has ended, it is given on as it is.
"""

from __future__ import annotations

from collections import deque

import msgspec

__all__ = ["PATIENCE_MS", "Piece", "TimedText"]

#: Audio of an item that may come without the place of any word before the item counts as one without places.
PATIENCE_MS = 1000.0
#: Characters within which a word is looked for: beyond, it is the same word of a later sentence.
_NEAR = 48
#: Places that are kept for text that has not come. Beyond that the oldest is forgotten.
_MOST = 256


class Piece(msgspec.Struct, frozen=True):
    """A piece of text to append, and where it is spoken; None where that is not known."""

    text: str
    start_ms: float | None = None
    end_ms: float | None = None


class TimedText:
    """Of one item. Each method returns the pieces that can be given on now.

    `timed`: places of words were asked for. Otherwise all text is given on at once.
    """

    def __init__(self, *, timed: bool) -> None:
        self._timed = timed
        self._text = ""
        self._places: deque[tuple[str, float, float]] = deque(maxlen=_MOST)
        self._seen = False
        #: Where a word begins that was spoken, but is written in another way than the vendor names it.
        self._since: float | None = None
        self._audio_ms = 0.0

    @property
    def waits(self) -> bool:
        """Whether there is text that was not given on."""
        return bool(self._text)

    def text(self, text: str) -> list[Piece]:
        """A further piece of the text."""
        if not self._timed:
            return [Piece(text)]
        self._text += text
        return self._matched()

    def word(self, word: str, start_ms: float, end_ms: float) -> list[Piece]:
        """The place of a word."""
        if not self._timed:
            return []
        self._seen = True
        # A sign has a place of its own with some voices; it goes with the word before it.
        if any(letter.isalnum() for letter in word):
            self._places.append((word.strip(), start_ms, end_ms))
        return self._matched()

    def audio(self, duration_ms: float) -> list[Piece]:
        """So much more audio has come."""
        self._audio_ms += duration_ms
        if not self._timed or self._seen or self._audio_ms < PATIENCE_MS:
            return []
        self._timed = False
        return self.rest()

    def rest(self) -> list[Piece]:
        """No place comes any more."""
        text, self._text, self._since = self._text, "", None
        self._places.clear()
        return [Piece(text)] if text else []

    def _matched(self) -> list[Piece]:
        pieces: list[Piece] = []
        while self._places and self._text:
            word, start, end = self._places[0]
            at = self._text.lower().find(word.lower(), 0, _NEAR + len(word))
            if at < 0:
                if len(self._text) < _NEAR:
                    break  # its text may be yet to come
                # It is written in another way ("5" for "five"): the next one that is found takes it along.
                self._places.popleft()
                self._since = start if self._since is None else self._since
                continue
            self._places.popleft()
            stop = at + len(word)
            while stop < len(self._text) and not (
                self._text[stop].isalnum() or self._text[stop].isspace()
            ):
                stop += 1
            begin = start if self._since is None else self._since
            pieces.append(Piece(self._text[:stop], begin, end))
            self._text, self._since = self._text[stop:], None
        return pieces
