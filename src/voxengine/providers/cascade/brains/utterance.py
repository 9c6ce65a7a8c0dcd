"""What a user said, in the form that rules are matched on."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from voxengine.providers.cascade.brains.number_words import format_number, read_number

__all__ = ["Utterance"]

#: Longer turns are cut: no rule needs more, and a rule's expression may be slow on a long text.
MAX_CHARS = 2000

_TOKEN = re.compile(
    r"(?<!\w)-?\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|(?:(?<!\w)-)?\d+(?:\.\d+)?"
    # Scripts without spaces: each character stands for itself.
    r"|[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
    r"|(?:(?![\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff])[^\W\d_])+"
    r"(?:['\u2019](?=[^\W\d_])(?:(?![\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff])[^\W\d_])+)*"
)


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    #: Where it is in the normal form, and in the original.
    start: int
    source: tuple[int, int]


class Utterance:
    """A turn and its normal form: lower case, no punctuation, one space between words, numbers in digits.

    "Go forward, twenty-five METERS!" becomes "go forward 25 meters".
    """

    __slots__ = ("_tokens", "original", "text")

    def __init__(self, original: str) -> None:
        #: As it was said, with compatibility forms unified (Unicode NFKC).
        self.original = unicodedata.normalize("NFKC", original[:MAX_CHARS])
        self._tokens = _tokens(self.original)
        #: The normal form.
        self.text = " ".join(t.text for t in self._tokens)

    def said(self, start: int, end: int) -> str:
        """The original words behind a stretch of the normal form, with their case and punctuation."""
        inside = [t.source for t in self._tokens if start <= t.start < end]
        return self.original[inside[0][0] : inside[-1][1]] if inside else ""


def _tokens(original: str) -> list[_Token]:
    found = list(_TOKEN.finditer(original))
    words = [m.group().casefold().replace("'", "").replace("\u2019", "") for m in found]
    words = [w.replace(",", "") for w in words]
    tokens: list[_Token] = []
    at = i = 0
    while i < len(words):
        number = read_number(words[i:]) if words[i][0].isalpha() or words[i][0].isdigit() else None
        used = number[1] if number else 1
        text = format_number(number[0]) if number else words[i]
        tokens.append(_Token(text, at, (found[i].start(), found[i + used - 1].end())))
        at += len(text) + 1
        i += used
    return tokens
