"""Results of Amazon Transcribe as words of turns. No I/O, and no clock but the `now` that it is given.

Transcribe divides what it hears into results, each told again and again until it is final. It knows nothing of turns,
and has no command to bring a result to its end: one ends where the speaker pauses. So when a turn is over, as others
have found, silence is sent, and the result that is still open is waited for; after `SETTLE_S` without a change, or
`LIMIT_S` in any case, what is there counts. What comes later of the same result and was counted already is told apart
by its place in the audio.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from voxengine.providers.cascade.parts import STTEvent, STTFinal, STTPartial

__all__ = ["LIMIT_S", "SETTLE_S", "Results"]

#: Seconds without a change after which the words of an open result count; and the longest wait for a final one.
SETTLE_S = 0.4
LIMIT_S = 1.2
#: Seconds by which words that begin before the end of a turn may be placed after it.
_SLACK_S = 0.05


class _Word(msgspec.Struct, frozen=True):
    text: str
    start_s: float
    #: A full stop or a comma: it follows the word before it without a space.
    mark: bool


class Results:
    """Of one stream. `position_s` is how much audio was sent."""

    def __init__(self) -> None:
        self.position_s = 0.0
        #: Up to where words have been told as final.
        self._told_s = 0.0
        #: The words of the open result that were not told as final.
        self._open: list[_Word] = []
        self._shown = ""
        #: Where the turn ended that is asked about, since when, and when its words changed last.
        self._asked_s: float | None = None
        self._asked_at = 0.0
        self._changed_at = 0.0
        self._heard_since = False
        #: Whether words of this turn were told as final before it was asked about.
        self._said = False

    @property
    def deadline(self) -> float | None:
        """When `tick` has to be called, if nothing comes before."""
        if self._asked_s is None:
            return None
        return min(self._asked_at + LIMIT_S, self._changed_at + SETTLE_S)

    def result(self, result: Any, now: float) -> list[STTEvent]:
        """A result, as the library gives it."""
        best = (result.alternatives or [None])[0]
        if best is None:
            return []
        # Of a result without words by themselves, all of it begins where the result does.
        words = [*_words(best.items or ())] or [
            _Word(best.transcript or "", result.start_time, False)
        ]
        words = [word for word in words if word.text and word.start_s >= self._told_s - _SLACK_S]
        text = _joined(words)
        self._heard_since = True
        if text != _joined(self._open):
            self._changed_at = now
        if result.is_partial:
            self._open = words
            return self._show(text)
        self._open = []
        self._shown = ""
        if self._asked_s is None:
            self._told_s = max(self._told_s, result.end_time)
            self._said = self._said or bool(text)
            return [STTFinal(text, language=result.language_code)] if text else []
        return self._answer(words, result.end_time)

    def finalize(self, now: float) -> None:
        """The turn is over where the audio is now."""
        self._asked_s, self._asked_at, self._changed_at = self.position_s, now, now
        self._heard_since = False

    def tick(self, now: float) -> list[STTEvent]:
        """What is to be told by now."""
        if self._asked_s is None or self.deadline is None or now < self.deadline:
            return []
        waited = now >= self._asked_at + LIMIT_S
        # With no result open, more may be on its way; with one, it has not changed for a while.
        if not (self._open or self._heard_since or self._said or waited):
            self._changed_at = now
            return []
        return self._answer(self._open, self._asked_s)

    def _answer(self, words: list[_Word], end_s: float) -> list[STTEvent]:
        asked = self._asked_s
        assert asked is not None
        mine = [word for word in words if word.start_s < asked]
        self._asked_s, self._said = None, False
        self._open = words[len(mine) :]
        self._told_s = max(self._told_s, min(end_s, asked))
        self._shown = ""
        events: list[STTEvent] = [STTFinal(_joined(mine), asked=True)]
        return [*events, *self._show(_joined(self._open))]

    def _show(self, text: str) -> list[STTEvent]:
        if not text or text == self._shown:
            return []
        self._shown = text
        return [STTPartial(text)]


def _words(items: Iterable[Any]) -> Iterator[_Word]:
    start = 0.0
    for item in items:
        mark = item.type == "punctuation"
        # A mark belongs to the word before it.
        start = start if mark else item.start_time
        yield _Word(item.content or "", start, mark)


def _joined(words: Iterable[_Word]) -> str:
    text = ""
    for word in words:
        text += word.text if word.mark or not text else f" {word.text}"
    return text
