"""What the mock's vendor remembers of the conversation, for a test to look at."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["Entry", "Memory"]


class Entry(msgspec.Struct, kw_only=True):
    """One item, as the vendor believes it to be. Times are milliseconds."""

    id: str
    role: str
    #: message, function_call or function_output.
    kind: str = "message"
    text: str = ""
    #: Speech of the assistant that was sent; of the user that was heard.
    audio_ms: float = 0.0
    #: Set by truncation: the listener heard only so much.
    heard_ms: float | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | None = None


class Memory:
    """Items in the vendor's order."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def __len__(self) -> int:
        return len(self.entries)

    def add(self, entry: Entry, after: str | None = None) -> Entry:
        """Append an item, or put it behind another; "" is the beginning."""
        place = len(self.entries)
        if after is not None:
            found = (n for n, known in enumerate(self.entries, 1) if known.id == after)
            place = next(found, 0 if after == "" else place)
        self.entries.insert(place, entry)
        return entry

    def get(self, item_id: str) -> Entry | None:
        """The item of that id."""
        return next((e for e in self.entries if e.id == item_id), None)

    def remove(self, item_id: str) -> bool:
        """Forget an item; False if there is none of that id."""
        entry = self.get(item_id)
        if entry is not None:
            self.entries.remove(entry)
        return entry is not None

    def copy(self) -> list[Entry]:
        """The items as they are now, to be taken up later."""
        return [msgspec.structs.replace(entry) for entry in self.entries]

    def unanswered_outputs(self) -> list[str]:
        """Results of tools that came after the last that anybody said."""
        outputs: list[str] = []
        for entry in reversed(self.entries):
            if entry.kind == "message" and entry.role != "system":
                break
            if entry.kind == "function_output":
                outputs.insert(0, entry.output or "")
        return outputs

    def last_of_user(self) -> Entry | None:
        """The newest thing that the user said."""
        return next((e for e in reversed(self.entries) if e.role == "user"), None)

    def as_messages(self) -> list[dict[str, Any]]:
        """Plain dicts, without what is empty."""
        return [
            {k: v for k, v in msgspec.to_builtins(e).items() if v not in (None, "", 0.0)}
            for e in self.entries
        ]
