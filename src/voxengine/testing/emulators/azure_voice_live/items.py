"""The items of an emulated conversation, in their order, and what the model knows of each."""

from __future__ import annotations

from typing import Any

import msgspec

from voxengine.testing.emulators.memory import Memory, Note

__all__ = ["Entry", "Items", "Unknown"]


class Unknown(LookupError):
    """There is no item of that id."""


class Entry(msgspec.Struct):
    """One item: as it is on the wire, and the note of it in the model's memory, where it has one."""

    id: str
    wire: dict[str, Any]
    note: Note | None = None
    #: Of what the model says: which answer it is, how long its audio is, and the loop's time of its first audio.
    reply_id: str | None = None
    audio_ms: float = 0.0
    began_s: float | None = None


class Items:
    """All items of one conversation. What happens to them happens to the model's memory."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._entries: list[Entry] = []

    def __contains__(self, item_id: str) -> bool:
        return any(entry.id == item_id for entry in self._entries)

    @property
    def last_id(self) -> str | None:
        """The item at the end."""
        return self._entries[-1].id if self._entries else None

    def get(self, item_id: str) -> Entry:
        """The item of that id.

        Raises:
            Unknown: there is none.
        """
        for entry in self._entries:
            if entry.id == item_id:
                return entry
        raise Unknown(item_id)

    def call(self, call_id: str) -> Entry | None:
        """The call of that id."""
        calls = (e for e in self._entries if e.wire["type"] == "function_call")
        return next((e for e in calls if e.wire["call_id"] == call_id), None)

    def add(self, entry: Entry, after: str | None = None) -> str | None:
        """Put an item at the end, or behind another ("root": before all); returns the id of the one before it.

        Raises:
            Unknown: there is no such other.
        """
        place = len(self._entries)
        if after == "root":
            place = 0
        elif after is not None:
            place = self._entries.index(self.get(after)) + 1
        before = self._entries[place - 1].id if place else None
        follows = next((e.note for e in self._entries[place:] if e.note is not None), None)
        self._entries.insert(place, entry)
        if entry.note is not None:
            notes = [note for note in self._memory.notes if note is not entry.note]
            at = next((n for n, note in enumerate(notes) if note is follows), len(notes))
            self._memory.notes = [*notes[:at], entry.note, *notes[at:]]
        return before

    def delete(self, item_id: str) -> None:
        """Forget an item.

        Raises:
            Unknown: there is none of that id.
        """
        entry = self.get(item_id)
        self._entries.remove(entry)
        if entry.note is not None:
            self._memory.drop(entry.note)
