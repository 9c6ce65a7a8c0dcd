"""What an emulated model knows of the conversation."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from voxengine.providers.cascade.parts import SpokenWord

__all__ = ["MAX_NOTES", "Memory", "Note"]

#: What is kept; beyond that the oldest is forgotten.
MAX_NOTES = 2000


class Note(msgspec.Struct):
    """One entry. `role` is user, assistant, system, tool_call (its name and arguments) or tool (a result)."""

    role: str
    text: str
    call_id: str | None = None
    #: Of an answer: which it was, and where its words are in its audio.
    reply_id: str | None = None
    words: tuple[SpokenWord, ...] = ()


class Memory:
    """Notes in their order."""

    def __init__(self) -> None:
        self.notes: list[Note] = []

    def add(self, note: Note) -> Note:
        """One more."""
        self.notes.append(note)
        if len(self.notes) > MAX_NOTES:
            del self.notes[0]
        return note

    def drop(self, note: Note) -> None:
        """One less: by identity, for two may say the same."""
        self.notes = [known for known in self.notes if known is not note]

    def lines(self) -> list[tuple[str, str]]:
        """All of it as (role, text)."""
        return [(note.role, note.text) for note in self.notes]

    def last_of_user(self) -> str | None:
        """The newest thing that the user said."""
        return next((n.text for n in reversed(self.notes) if n.role == "user"), None)

    def results(self) -> list[Note]:
        """The results of tools that came after all that anybody said, in their order."""
        found: list[Note] = []
        for note in reversed(self.notes):
            if note.role == "tool":
                found.insert(0, note)
            elif note.role in ("user", "assistant") or (note.role == "tool_call" and found):
                break
        return found

    def truncate(
        self, *, heard_ms: float | None, text: str | None, reply_id: str | None
    ) -> str | None:
        """Forget what was not heard of an answer, the last one if `reply_id` is None.

        Returns what is left of it; None if there is no such answer.
        """
        for note in reversed(self.notes):
            if note.role == "assistant" and reply_id in (None, note.reply_id):
                break
        else:
            return None
        if text is not None:
            note.text, note.words = text, ()
        elif heard_ms is not None and note.words:
            note.words = tuple(word for word in note.words if word.end_ms <= heard_ms)
            note.text = joined(note.words)
        if not note.text:
            self.drop(note)
        return note.text


def joined(words: Iterable[SpokenWord]) -> str:
    """The text of words."""
    return "".join(word.text for word in words).strip()
