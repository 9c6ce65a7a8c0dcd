"""Cuts a stream of text into units that can be spoken one by one.

A reply is spoken from its first sentence on, so a unit is given out as soon as what has arrived so far proves that it
is complete. That needs a little text behind the end: one white space after "Hello there.", one word after "U.S.".

Two promises hold for every text: the units joined are the text, to the last space; and they are the same however
the text was cut into pieces on its way (a decision never depends on what happens to have arrived).
"""

from __future__ import annotations

import re
from enum import Enum

__all__ = ["SentenceSplitter"]

#: Signs that end a sentence where white space follows: Latin, Arabic, Urdu, Devanagari, Armenian, Ethiopic.
_STOPS = ".!?…؟۔।։።"
#: Signs that end a sentence by themselves, in scripts that put no space behind it.
_WIDE_STOPS = "。！？｡．"
#: What may stand between a stop and the end of its sentence.
_CLOSERS = "\"'”’»)]}」』）】》〉*_`"
_CLAUSE = re.compile(r"[,;:](?=\s)|\s[-–—](?=\s)|[—，；：、]")
_CANDIDATE = re.compile(rf"\n|[{re.escape(_STOPS + _WIDE_STOPS)}]+[{re.escape(_CLOSERS)}]*")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: A dot behind these never ends a sentence.
_NEVER = _words(
    "mr mrs ms mx dr prof rev hon gen col capt cpt lt sgt gov sen rep pres st mt ft messrs mmes mme mlle"
    " vs viz cf al fig figs eq vol pp ed eds approx dept est ext tel resp incl excl e.g i.e a.k.a"
    " bzw z.b d.h usw ca sog hr fr sr sra srta ud"
)
#: A dot behind these ends a sentence if the next word starts with a capital.
_BEFORE_CAPITAL = _words("a.m p.m am pm etc inc ltd co corp jr ph.d b.a m.a")
#: A dot behind these is part of the word if a number follows ("No. 5", "p. 12").
_BEFORE_NUMBER = _words("no nos nr p art sec ch jan feb mar apr jun jul aug sep sept oct nov dec")
#: Words that start a sentence and hardly ever follow an initial or an acronym as part of a name.
_STARTERS = _words(
    "a after all also although an and are as at because but by can did do does for from had has have he her here his"
    " how however i if in is it its let my no not now on once one or our please she since so some than that the their"
    " then there these they this those though to we well were what when where which while who why will with would yes"
    " yet you your i'm i'll i've i'd it's he's she's that's there's they're we're you're let's what's here's"
)
_WORD_BEFORE = re.compile(r"[^\s\"'“”‘’«»()\[\]{}*_`]+$")
_LIST_NUMBER = re.compile(r"(?:^|\n)[ \t]*\(?(?:\d{1,3}|[A-Za-z])$")
_ACRONYM = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
_NEXT_WORD = re.compile(r"[\w'’-]*")


class _Verdict(Enum):
    CUT = 1
    NO = 2
    WAIT = 3


class SentenceSplitter:
    """Splits one answer. Make a new one for each answer, or call `flush` between two.

    Args:
        first_chars: length in characters beyond which the first sentence may be cut at a clause, so that a long one
            does not hold up the voice. 0 never does that.
        max_chars: length beyond which any unit is cut, at a clause or a space where there is one. It bounds both the
            memory and what a TTS is given at once.
    """

    def __init__(self, *, first_chars: int = 90, max_chars: int = 400) -> None:
        if first_chars < 0 or max_chars < 1:
            raise ValueError("first_chars is at least 0 and max_chars at least 1")
        self._first_chars = first_chars
        self._max_chars = max_chars
        self._text = ""
        #: Where the next candidate is looked for; everything before it has been decided.
        self._scanned = 0
        self._first = True

    def feed(self, text: str) -> list[str]:
        """Add a piece of any size; returns the units that it completes, in order, often none."""
        self._text += text
        units: list[str] = []
        while (end := self._next_end()) is not None:
            units.append(self._take(end))
        return units

    def flush(self) -> list[str]:
        """The text is over: returns what is left as one unit (it may be white space only), or nothing."""
        rest, self._text = self._text, ""
        self._scanned, self._first = 0, True
        return [rest] if rest else []

    def _take(self, end: int) -> str:
        unit, self._text = self._text[:end], self._text[end:]
        self._scanned, self._first = 0, False
        return unit

    def _next_end(self) -> int | None:
        """End of the first complete unit, None if more text is needed to tell."""
        limit = self._first_chars if self._first and self._first_chars else self._max_chars
        limit = min(limit, self._max_chars)
        while (found := _CANDIDATE.search(self._text, self._scanned)) is not None:
            if found.end() > limit:
                break
            verdict = _judge(self._text, found)
            if verdict is _Verdict.CUT:
                return _end_of(found)
            if verdict is _Verdict.WAIT:
                return None
            self._scanned = found.end()
        if len(self._text) <= limit:
            return None
        if _in_code(self._text[:limit]):
            # Code is not cut. It is never spoken, so that a long unit does not matter.
            return next((end for end in _fences(self._text) if end > limit), None)
        return self._cut_long(limit)

    def _cut_long(self, limit: int) -> int | None:
        """Where to cut text that has no end of a sentence in its first `limit` characters."""
        # The lookahead of a clause needs one character behind it, which is there: the text is longer than the limit.
        ends = [m.end() for m in _CLAUSE.finditer(self._text, 0, limit + 1) if m.end() <= limit]
        clauses = [end for end in ends if end >= limit // 4]
        if clauses:
            return clauses[-1]
        if limit < self._max_chars:
            # No clause to cut at: this sentence is treated like any other.
            self._first = False
            return self._next_end()
        spaces = [
            m.start()
            for m in re.finditer(r"\s", self._text[:limit])
            if self._text[: m.start()].strip()
        ]
        return spaces[-1] if spaces else limit


def _end_of(candidate: re.Match[str]) -> int:
    # The line feed belongs to what follows, so that a unit is complete without it.
    return candidate.start() if candidate.group() == "\n" else candidate.end()


def _fences(text: str) -> list[int]:
    """Where the fences end that begin and end blocks of code."""
    return [fence.end() for fence in re.finditer("```", text)]


def _in_code(text: str) -> bool:
    """Whether a block of code is open at the end of the text."""
    return len(_fences(text)) % 2 == 1


def _judge(text: str, found: re.Match[str]) -> _Verdict:
    """Whether a unit ends at this candidate."""
    head, sign, end = text[: found.start()], found.group(), found.end()
    if sign != "\n" and end == len(text):
        # Another stop, or a closing quote, may follow.
        return _Verdict.WAIT
    if _in_code(text[:end]):
        return _Verdict.NO
    if not head.strip():
        # White space, or signs alone, at the start of a unit: they go with what follows.
        return _Verdict.NO
    if sign == "\n":
        return _judge_line(text, head, end)
    if any(c in _WIDE_STOPS for c in sign):
        return _Verdict.CUT
    if not text[end].isspace():
        return _Verdict.NO
    bare = sign.rstrip(_CLOSERS)
    if bare == ".":
        return _judge_dot(text, head, end, closed=bare != sign)
    if bare == sign and not bare.endswith(("…", "..")):
        return _Verdict.CUT
    # "Wait... what?" and '"Really?" he said' go on; both need the next letter to tell.
    return _unless_lower(text, end)


def _judge_line(text: str, head: str, end: int) -> _Verdict:
    """A line feed ends a unit, except where a line was only wrapped: the next one starts with a small letter."""
    if head.rstrip(" \t\r").endswith((":", ".", "!", "?")):
        return _Verdict.CUT
    following = text[end:].lstrip(" \t\r")
    if following.startswith("\n"):
        return _Verdict.CUT
    return _unless_lower(text, end)


def _judge_dot(text: str, head: str, end: int, *, closed: bool) -> _Verdict:
    """A single dot with white space behind it: the end, or part of an abbreviation."""
    found = _WORD_BEFORE.search(head)
    word = found.group().lower() if found else ""
    if word in _NEVER or _LIST_NUMBER.search(head):
        return _Verdict.NO
    following = text[end:].lstrip()
    if word in _BEFORE_NUMBER:
        return (
            _Verdict.WAIT
            if not following
            else _Verdict.NO
            if following[0].isdigit()
            else _Verdict.CUT
        )
    if word in _BEFORE_CAPITAL:
        return (
            _Verdict.WAIT
            if not following
            else _Verdict.CUT
            if following[0].isupper()
            else _Verdict.NO
        )
    if _ACRONYM.fullmatch(word):
        following_word = _NEXT_WORD.match(following)
        if following_word is None or following_word.end() == len(following):
            return _Verdict.WAIT
        starts = (
            following_word.group().lower().replace("’", "'") in _STARTERS and following[0].isupper()
        )
        return _Verdict.CUT if starts else _Verdict.NO
    return _unless_lower(text, end) if closed else _Verdict.CUT


def _unless_lower(text: str, end: int) -> _Verdict:
    following = text[end:].lstrip()
    if not following:
        return _Verdict.WAIT
    return _Verdict.NO if following[0].islower() else _Verdict.CUT
