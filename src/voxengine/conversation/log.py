"""The conversation: the log that we own, whatever the vendor remembers of it. No I/O, no clock."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from voxengine.conversation.export import export, read, read_json
from voxengine.conversation.items import Item

__all__ = ["Conversation"]


class Conversation:
    """Items in the order in which they were said.

    `on_change(action, item)` is called after each change; `action` is "added", "changed" or "removed".
    """

    def __init__(self, id: str = "", on_change: Callable[[str, Item], None] | None = None) -> None:
        self.id = id
        self._items: list[Item] = []
        self._by_id: dict[str, Item] = {}
        self.on_change = on_change

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Item:
        return self._items[index]

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._by_id

    @property
    def items(self) -> tuple[Item, ...]:
        """All items, in order."""
        return tuple(self._items)

    @property
    def messages(self) -> tuple[Item, ...]:
        """What was said, without tool calls and their results."""
        return tuple(i for i in self._items if i.kind == "message")

    def get(self, item_id: str | None) -> Item | None:
        """The item of that id, None if there is none."""
        return self._by_id.get(item_id) if item_id is not None else None

    def add(self, item: Item, *, before: str | None = None, after: str | None = None) -> Item:
        """Add at the end, or beside the item of an id (at the end where there is none).

        Raises:
            ValueError: an item of that id is there already.
        """
        if item.id in self._by_id:
            raise ValueError(f"the conversation already has an item {item.id!r}")
        place = len(self._items)
        neighbour = self.get(before or after)
        if neighbour is not None:
            place = self._items.index(neighbour) + (0 if before else 1)
        self._items.insert(place, item)
        self._by_id[item.id] = item
        self.changed(item, "added")
        return item

    def remove(self, item_id: str) -> Item | None:
        """Take an item out; None if it is not there."""
        item = self._by_id.pop(item_id, None)
        if item is not None:
            self._items.remove(item)
            self.changed(item, "removed")
        return item

    def changed(self, item: Item, action: str = "changed") -> None:
        """Say that an item was changed in place."""
        if self.on_change is not None:
            self.on_change(action, item)

    # -- views

    def transcript(self) -> str:
        """The conversation as lines to read; where somebody was cut short, a dash says so."""
        lines = []
        for item in self._items:
            if item.kind == "function_call":
                lines.append(f"[{item.name}({item.arguments})]")
            elif item.kind == "function_output":
                lines.append(f"[-> {item.output}]")
            elif item.text or item.role == "user":
                lines.append(
                    f"{item.role}: {item.text or '(speech)'}{' -' if item.interrupted else ''}"
                )
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Plain data: a version, the id, and the items. `from_dict` makes the same conversation of it."""
        return export(self.id, self._items)

    def to_json(self, indent: int | None = None) -> str:
        """`as_dict` as JSON text."""
        return json.dumps(self.as_dict(), ensure_ascii=False, indent=indent)

    # -- where it goes on

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Conversation:
        """The conversation that `as_dict` gave, also by a later program that knows more fields.

        Raises:
            ConfigurationError: the data is of another version, or broken; the message says where.
        """
        return cls._of(*read(data))

    @classmethod
    def from_json(cls, text: str | bytes) -> Conversation:
        """The conversation that `to_json` wrote.

        Raises:
            ConfigurationError: it is no JSON, of another version, or broken; the message says where.
        """
        return cls._of(*read_json(text))

    @classmethod
    def _of(cls, id: str, items: list[Item]) -> Conversation:
        made = cls(id)
        for item in items:
            made.add(item)
        return made

    def settle(self) -> None:
        """Close what is left open, where nobody is there any more who would go on with it.

        Speech without words was none. Of an answer, the words stay that its audio reaches; a call stays without a
        result.
        """
        for item in self.items:
            if item.status != "in_progress":
                continue
            if item.kind == "message" and not item.text:
                self.remove(item.id)
                continue
            if item.role == "assistant":
                item.status = "incomplete"
                if item.audio_ms:
                    item.leave_off()
            else:
                item.status = "completed"
            self.changed(item)
