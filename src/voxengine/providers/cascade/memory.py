"""What the brain is told of the conversation: only what was said, and of its own words only what was heard."""

from __future__ import annotations

import contextlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from voxengine.conversation import Item
from voxengine.errors import MessageError
from voxengine.providers.cascade.parts import Message, ToolCall

__all__ = ["Entry", "Memory"]

#: What the brain is told of a call that was cut off before it returned.
_NO_RESULT = '{"error": "the call was interrupted"}'


@dataclass(slots=True, eq=False)
class Entry:
    """A message of the conversation. One of the assistant also holds the calls that it made after its words."""

    id: str
    role: str
    text: str = ""
    response_id: str | None = None
    calls: list[ToolCall] = field(default_factory=list)
    #: Results by call id.
    results: dict[str, str] = field(default_factory=dict)
    #: Taken back: the user never heard of it. Its words do not count, its finished calls do.
    void: bool = False

    def messages(self) -> list[Message]:
        """As the brain is told."""
        calls = tuple(c for c in self.calls if not self.void or c.call_id in self.results)
        text = "" if self.void else self.text
        if not text.strip() and not calls:
            return []
        told = [Message(self.role, text, tool_calls=calls)]
        told += [
            Message("tool", self.results.get(c.call_id, _NO_RESULT), call_id=c.call_id)
            for c in calls
        ]
        return told


class Memory:
    """The conversation of one session, bounded: the oldest entries are forgotten first."""

    def __init__(self, max_items: int) -> None:
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._calls: dict[str, Entry] = {}
        self._max = max_items

    def messages(
        self, instructions: str | None = None, said: tuple[str, str] | None = None
    ) -> list[Message]:
        """All of it, after the instructions; as if the user had `said` this: the item's id, and its text."""
        told = [Message("system", instructions)] if instructions else []
        for entry in self._entries.values():
            if said is not None and entry.id == said[0]:
                told.append(Message("user", said[1]))
            else:
                told += entry.messages()
        if said is not None and said[0] not in self._entries:
            told.append(Message("user", said[1]))
        return told

    @property
    def unanswered(self) -> bool:
        """Whether the user had the last word."""
        for entry in reversed(self._entries.values()):
            if entry.messages():
                return entry.role == "user"
        return False

    # -- what was said

    def said(self, item_id: str, text: str, role: str = "user") -> None:
        """Somebody said this; a second time for the same item replaces the first."""
        known = self._entries.get(item_id)
        if known is not None:
            known.text = text
        else:
            self._add(Entry(item_id, role, text))

    def answer(self, item_id: str, response_id: str | None) -> Entry:
        """The assistant begins to speak, or to call: the entry to put it into."""
        return self._add(Entry(item_id, "assistant", response_id=response_id))

    def _add(self, entry: Entry) -> Entry:
        self._entries[entry.id] = entry
        while len(self._entries) > self._max:
            _, oldest = self._entries.popitem(last=False)
            self._forget_calls(oldest)
        return entry

    def _forget_calls(self, entry: Entry) -> None:
        for call in entry.calls:
            self._calls.pop(call.call_id, None)

    def knows(self, item_id: str) -> bool:
        """Whether it is still remembered."""
        return item_id in self._entries

    # -- what was heard

    def heard(self, item_id: str, text: str) -> None:
        """Of this item of the assistant only `text` was heard. Of one that was taken back, nothing counts.

        Raises:
            MessageError: there is no such item.
        """
        entry = self._entries.get(item_id)
        if entry is None:
            raise MessageError(f"the conversation has no item {item_id!r}", code="unknown_item")
        if entry.role == "assistant" and not entry.void:
            entry.text = text

    def void(self, response_id: str) -> None:
        """Take a response back: nothing of it was heard."""
        for entry in self._entries.values():
            if entry.response_id == response_id:
                entry.void = True

    # -- tools

    def called(self, entry: Entry, call: ToolCall) -> ToolCall:
        """The assistant calls a tool; returns the call with an id that is unique in this conversation."""
        n, wanted = 1, call.call_id or "call"
        unique = wanted
        while unique in self._calls:
            n += 1
            unique = f"{wanted}_{n}"
        call = ToolCall(unique, call.name, call.arguments)
        entry.calls.append(call)
        self._calls[unique] = entry
        return call

    def returned(self, call_id: str, output: str) -> str | None:
        """A tool returned; the response that it was called in.

        The result of a call in a response that was taken back comes too late to be known: that response may have
        been given again, without it.

        Raises:
            MessageError: there is no such call, or it has its result.
        """
        entry = self._calls.get(call_id)
        if entry is None:
            raise MessageError(f"no tool was called with the id {call_id!r}", code="unknown_call")
        if call_id in entry.results:
            raise MessageError(
                f"the call {call_id!r} has its result already", code="call_has_result"
            )
        if not entry.void:
            entry.results[call_id] = output
        return entry.response_id

    # -- from outside

    def add_history(self, items: Sequence[Item], after: str | None = None) -> None:
        """An earlier conversation; items that are known already are not added again.

        It follows the item `after`, or begins the conversation where that is "".
        """
        later = [] if after is None else self._behind(after)
        self._add_all(items)
        for item_id in later:
            self._entries.move_to_end(item_id)

    def _behind(self, item_id: str) -> list[str]:
        ids = list(self._entries)
        if item_id == "":
            return ids
        return ids[ids.index(item_id) + 1 :] if item_id in self._entries else []

    def _add_all(self, items: Sequence[Item]) -> None:
        for item in items:
            if item.id in self._entries:
                continue
            if item.kind == "function_call":
                call = ToolCall(item.call_id or item.id, item.name or "", item.arguments or "{}")
                self.called(self.answer(item.id, item.response_id), call)
            elif item.kind == "function_output":
                with contextlib.suppress(MessageError):  # its call was forgotten long ago
                    self.returned(item.call_id or "", item.output or "")
            else:
                self.said(item.id, item.text, item.role)

    def delete(self, item_id: str) -> None:
        """Remove an item.

        Raises:
            MessageError: there is no such item.
        """
        entry = self._entries.pop(item_id, None)
        if entry is None:
            raise MessageError(f"the conversation has no item {item_id!r}", code="unknown_item")
        self._forget_calls(entry)

    def __repr__(self) -> str:
        return json.dumps([[e.role, e.text] for e in self._entries.values()], ensure_ascii=False)
