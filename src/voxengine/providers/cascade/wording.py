"""Cuts a stream of text into words that can be said at once, for a voice that speaks while the text is written.

What the brain writes is for the eye as well (`speakable`), and whether a sign is to be said depends on its sentence: a
"[" may begin a link, a "#" a heading. So what is said of a sentence is found anew at the end of each word, and the word
is what that adds to what was said before. A word that may be part of something larger (a link, a tag, a block of code)
waits until that is whole, or its sentence is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from voxengine.providers.cascade.sentences import SentenceSplitter
from voxengine.providers.cascade.speakable import speakable

__all__ = ["Phrase", "Word", "Wording"]

#: A tag that has begun on this line and has not ended.
_OPEN_TAG = re.compile(r"<(?:/?[A-Za-z]|!)[^>\n]*\Z")
#: The address of a link that has begun and has not ended.
_OPEN_LINK = re.compile(r"\]\([^)\n]*\Z")
#: Where a word may end: before white space, and behind a sign of a writing that has none.
_END = re.compile(
    r"(?<=\S)(?=\s)|(?<=[\u2e80-\u9fff\uf900-\ufaff\uff00-\uff0f\U00020000-\U0003ffff])(?!\Z)"
)


class Word(msgspec.Struct, frozen=True):
    """A piece of the text as it was written, and what is to be said of it ("" is nothing), with their spaces."""

    text: str
    said: str


class Phrase(msgspec.Struct, frozen=True):
    """Words that came together. `ends`: a sentence ends with them."""

    words: tuple[Word, ...]
    ends: bool = False

    @property
    def text(self) -> str:
        """As it was written."""
        return "".join(word.text for word in self.words)


class Wording:
    """Words of one answer. The texts of all words joined are the text, to the last space."""

    def __init__(self) -> None:
        # No sentence is cut for being long: what has come of it is said anyway.
        self._sentences = SentenceSplitter(first_chars=0, max_chars=2000)
        #: The text from the beginning of the sentence under way.
        self._text = ""
        #: How much of that was given out in words, and where the next end of a word is looked for.
        self._given = 0
        self._looked = 0
        #: How much of it belongs to sentences that are complete.
        self._complete = 0
        #: What is said of the words that were given out.
        self._said = ""
        self._first = True

    def feed(self, text: str) -> list[Phrase]:
        """Add a piece of any size; returns the words that can be said by now."""
        self._text += text
        phrases = [self._end_sentence(len(unit)) for unit in self._sentences.feed(text)]
        if words := tuple(self._words(len(self._text), last=False)):
            phrases.append(Phrase(words))
        return phrases

    def flush(self) -> list[Phrase]:
        """The text is over: the words that are left."""
        phrases = [self._end_sentence(len(unit)) for unit in self._sentences.flush()]
        return [phrase for phrase in phrases if phrase.words]

    def _end_sentence(self, length: int) -> Phrase:
        self._complete += length
        words = tuple(self._words(self._complete, last=True))
        if self._given <= self._complete:
            # Otherwise words of the next one were given out already, and are said on from there.
            self._text = self._text[self._given :]
            self._given = self._looked = self._complete = 0
            self._said = ""
        return Phrase(words, ends=True)

    def _words(self, until: int, *, last: bool) -> Iterator[Word]:
        """The words up to there; the last of them ends there in any case, if its sentence does."""
        while (found := _END.search(self._text, self._looked + 1, until)) is not None:
            self._looked = found.start()
            if (word := self._word(self._looked)) is not None:
                yield word
        if last and self._given < until:
            self._looked = until
            yield self._word(until) or self._rest(until)

    def _word(self, end: int) -> Word | None:
        """The word that ends there; None if that cannot be told without what follows."""
        so_far = self._text[:end]
        if _is_open(so_far):
            return None
        said = speakable(so_far)
        return (
            self._give(end, said[len(self._said) :], said) if said.startswith(self._said) else None
        )

    def _rest(self, end: int) -> Word:
        """The word by itself, where what follows gave another sense to what was said before it."""
        whole = speakable(self._text[:end])
        if whole.startswith(self._said):
            return self._give(end, whole[len(self._said) :], whole)
        piece = speakable(self._text[self._given : end])
        return self._give(end, f" {piece}" if piece else "", whole)

    def _give(self, end: int, added: str, said: str) -> Word:
        text = self._text[self._given : end]
        if added and not self._said and not self._first and self._text[:1].isspace():
            # What is said of a sentence begins with its first letter: the space before it is lost there.
            added = f" {added}"
        self._first = self._first and not added
        self._given, self._said = end, said
        return Word(text, added)


def _is_open(text: str) -> bool:
    """Whether something has begun in it that is not whole, so that it is not known what is to be said."""
    line = text[text.rfind("\n") + 1 :]
    return (
        # A bullet, a heading's sign, a rule.
        not any(c.isalnum() for c in line)
        or text.count("```") % 2 == 1
        or text.count("~~~") % 2 == 1
        or text.rfind("[") > text.rfind("]")
        or _OPEN_LINK.search(text) is not None
        or _OPEN_TAG.search(text) is not None
    )
