"""By which means a note reaches a provider: a table over its capabilities.

A note of the application is a message of its own where the provider takes such, else the next best thing that it does
take. Whatever is not the way that the role asks for is told as a degradation, by the name of the means.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

from voxengine.conversation.injection import Note
from voxengine.providers.capabilities import Capabilities

__all__ = ["Means", "MeansName", "instructions_with", "means_of", "responds"]

#: A message of role "system"; an item of the log; changed instructions of the session; words before the user's next
#: text; a text that is spoken word for word.
MeansName: TypeAlias = Literal["system", "items", "instructions", "prefix", "say"]

_THERE: dict[MeansName, Callable[[Capabilities], bool]] = {
    "system": lambda can: can.system_messages,
    "items": lambda can: can.history == "items",
    "instructions": lambda can: can.instructions_updatable,
    "prefix": lambda can: can.text_input and can.answers,
}
#: The means for a role, the one that it asks for first.
_CHOICE: dict[str, tuple[MeansName, ...]] = {
    "system": ("system", "items", "instructions", "prefix"),
    "user": ("items", "system", "instructions", "prefix"),
    "assistant": ("items", "system", "instructions", "prefix"),
}
#: What is said in the application's name of words that are another's.
_PHRASES = {
    "system": "{}",
    "user": "Take this as said by the user: {}",
    "assistant": "Take this as said by yourself: {}",
}


class Means(NamedTuple):
    """How a note goes in: the message's role and text, and what of the wish is not met."""

    name: MeansName
    role: str
    text: str
    degraded_to: str | None = None


def responds(can: Capabilities) -> bool:
    """Whether a response can be asked for."""
    return can.answers and can.response_on_request


def means_of(note: Note, can: Capabilities) -> Means | None:
    """How the note reaches a provider that can do this; None if it cannot."""
    if note.role == "assistant" and note.speak:
        if can.say and can.answers:
            return Means("say", "assistant", note.text)
        if responds(can):
            return Means("say", "assistant", note.text, "response_instructions")
        return _message("system", f"Say this to the user: {note.text}", can, "silent")
    unmet = "silent" if note.speak and not responds(can) else None
    return _message(note.role, note.text, can, unmet)


def _message(role: str, text: str, can: Capabilities, unmet: str | None) -> Means | None:
    choice = _CHOICE[role]
    name = next((name for name in choice if _THERE[name](can)), None)
    if name is None:
        return None
    if name == "prefix":
        unmet = None  # a text is answered anyhow
    told = [name if name != choice[0] else None, unmet]
    degraded_to = ", ".join(word for word in told if word) or None
    if name == "items" and role != "system":
        return Means(name, role, text, degraded_to)
    words = _PHRASES[role].format(text)
    if name in ("items", "prefix"):
        words = f"[A note from the application, not said by the user: {words}]"
    return Means(name, "system" if name == "system" else "user", words, degraded_to)


def instructions_with(base: str | None, notes: tuple[str, ...]) -> str:
    """The instructions of a session, with notes."""
    return "\n\n".join(part for part in (base, *notes) if part)
