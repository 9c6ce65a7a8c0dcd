"""Whether the demo did what it is there to show. Nothing is taken for granted: all is read from the run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxengine.cli.demo.scenario import BargeIn
    from voxengine.conversation import Conversation

__all__ = ["COMMAND", "Check", "checks", "normalised"]

COMMAND = "go forward ten meters"
#: Milliseconds between what the log says was heard and what was played: a block of the loudspeaker, and its phase.
TOLERANCE_MS = 60.0

_SPELLING = {"metre": "meter", "metres": "meters", "m": "meters", "forwards": "forward"}
_WORD = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+(?:'[^\W\d_]+)?")


@dataclass(frozen=True)
class Check:
    """Something that has to be true, and what was found."""

    name: str
    passed: bool
    found: str


def normalised(text: str) -> str:
    """Words without case and punctuation, numbers as words, one spelling of meters."""
    from voxengine.providers.cascade.brains.number_words import in_words

    words = []
    for word in _WORD.findall(text.lower().replace("’", "'")):
        if word[0].isdigit():
            number = float(word)
            words.append(in_words(int(number) if number.is_integer() else number))
        else:
            words.append(_SPELLING.get(word, word))
    return " ".join(words)


def checks(log: Conversation, moves: Sequence[dict[str, Any]], cut: BargeIn | None) -> list[Check]:
    """All checks, in the order of the conversation."""
    return [_command(log), _tool(moves), _cut(log, cut), *_after(log, cut)]


def _said(log: Conversation, role: str) -> list[str]:
    return [item.text for item in log.messages if item.role == role]


def _command(log: Conversation) -> Check:
    said = _said(log, "user")
    found = next((text for text in said if COMMAND in normalised(text)), None)
    return Check(
        f'the transcript holds "{COMMAND}"',
        found is not None,
        found or f"it holds {said or 'nothing'}",
    )


def _tool(moves: Sequence[dict[str, Any]]) -> Check:
    done = [m for m in moves if m["distance"] == 10]
    found = ", ".join(f"move({m['direction']}, {m['distance']:g} {m['unit']})" for m in moves)
    return Check("the tool move ran with 10", bool(done), found or "it did not run")


def _cut(log: Conversation, cut: BargeIn | None) -> Check:
    name = "the interrupted answer ends where the caller stopped hearing it"
    item = log.get(cut.item_id) if cut is not None else None
    if cut is None or item is None:
        return Check(name, False, "nothing was interrupted")
    apart = item.heard_ms - cut.played_ms
    found = f"the log says {item.heard_ms:.0f} ms, the loudspeaker played {cut.played_ms:.0f} ms"
    whole = item.interrupted and bool(item.text) and bool(item.unheard_text)
    if not whole:
        found += ", and the log does not show a cut in mid-text"
    return Check(name, whole and abs(apart) <= TOLERANCE_MS, found)


def _after(log: Conversation, cut: BargeIn | None) -> list[Check]:
    items = list(log)
    places = [i for i, item in enumerate(items) if cut is not None and item.id == cut.item_id]
    rest = items[places[0] + 1 :] if places else []
    said = next((i for i in rest if i.role == "user" and i.text), None)
    answer = next(
        (
            i
            for i in rest
            if said is not None and i.turn_id == said.id and i.role == "assistant" and i.text
        ),
        None,
    )
    whole = (
        answer is not None
        and answer.status == "completed"
        and answer.heard_ms >= answer.audio_ms > 0
    )
    return [
        Check(
            "what interrupted it was transcribed",
            said is not None,
            said.text if said else "nothing was",
        ),
        Check("and answered, to the end", whole, answer.text if answer else "there was no answer"),
    ]
