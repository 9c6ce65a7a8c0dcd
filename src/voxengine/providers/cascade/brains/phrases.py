"""Phrase patterns: what a rule waits for, written almost as it is said.

    (go|move) {direction} [by] {n:number} [meters]

Words stand for themselves, `(a|b)` for one of several, `[a]` for something that may be left out, and `{name}` for a
slot: `{n:number}` a number, `{w:word}` one word, `{name}` one or more words (as many as possible at the end of a
phrase, else as few as possible). A slot with listed values (see `script.Rule`) takes these only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from voxengine.providers.cascade.brains.utterance import Utterance

__all__ = ["compile_phrase"]

_PART = re.compile(
    r"\{\s*(?P<slot>\w+)\s*(?::\s*(?P<kind>\w+)\s*)?\}|(?P<sign>[\[\]()|])|(?P<words>[^\[\](){}|]+)"
)
_SIGNS = {"[": "(?:", "]": ")?", "(": "(?:", ")": ")", "|": "|"}
_NUMBER = r"-?\d+(?:\.\d+)?"


def compile_phrase(
    phrase: str, values: Mapping[str, Sequence[str]], *, whole: bool
) -> re.Pattern[str]:
    """An expression for the normal form of an utterance **with one space added at its end**.

    Args:
        phrase: the pattern.
        values: for slots with listed values, every spelling of each.
        whole: whether the phrase must be all that was said; else it may stand anywhere in it.

    Raises:
        ValueError: the phrase is not well formed; the message says why.
    """
    out: list[str] = []
    depth: list[str] = []
    at = 0
    while at < len(phrase):
        part = _PART.match(phrase, at)
        if part is None:
            raise ValueError(f"{phrase[at:]!r} is not understood in the phrase {phrase!r}")
        at = part.end()
        if part["sign"]:
            _nest(depth, part["sign"], phrase)
            out.append(_SIGNS[part["sign"]])
        elif part["slot"]:
            last = not phrase[at:].strip("]) ")
            out.append(_slot(part["slot"], part["kind"], values, last))
        else:
            out.extend(re.escape(word) + " " for word in Utterance(part["words"]).text.split())
    if depth:
        raise ValueError(f"{depth[-1]!r} is never closed in the phrase {phrase!r}")
    body = "".join(out)
    if re.fullmatch(body, "") if body else True:
        raise ValueError(f"the phrase {phrase!r} holds nothing that must be said")
    return re.compile(rf"^(?:{body})$" if whole else rf"(?<!\S)(?:{body})")


def _nest(depth: list[str], sign: str, phrase: str) -> None:
    if sign in "([":
        depth.append(sign)
    elif sign == "|":
        if not depth:
            raise ValueError(f"'|' stands outside of brackets in the phrase {phrase!r}")
    elif not depth or depth.pop() + sign not in ("()", "[]"):
        raise ValueError(f"{sign!r} closes nothing in the phrase {phrase!r}")


def _slot(name: str, kind: str | None, values: Mapping[str, Sequence[str]], last: bool) -> str:
    if kind == "number":
        return f"(?P<{name}>{_NUMBER}) "
    if kind == "word":
        return rf"(?P<{name}>\S+) "
    if kind not in (None, "text"):
        raise ValueError(
            f"slot {name!r} is of the unknown kind {kind!r}; it is one of number, word, text"
        )
    if name in values:
        spellings = sorted({Utterance(v).text for v in values[name]} - {""}, key=len, reverse=True)
        return f"(?P<{name}>{'|'.join(map(re.escape, spellings))}) "
    return rf"(?P<{name}>\S+(?: \S+)*{'' if last else '?'}) "
