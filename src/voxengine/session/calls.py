"""Book-keeping of tool calls."""

from __future__ import annotations

import json
from dataclasses import dataclass

from voxengine.conversation import Conversation, Item
from voxengine.events import FunctionInvoked

__all__ = ["Call", "Calls"]


@dataclass(slots=True)
class Call:
    """One call of a tool, from the assistant's wish to its result."""

    call_id: str
    name: str
    response_id: str | None
    turn_id: str | None
    #: What tells two calls apart that ask for the same: name and arguments, whatever the order of the keys.
    key: tuple[str, str]
    #: Its item in the log.
    item_id: str = ""
    output: str | None = None
    cancelled: bool = False


class Calls:
    """All calls of one conversation, by id."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._calls: dict[str, Call] = {}

    def get(self, call_id: str) -> Call | None:
        """The call of that id, whatever has become of it."""
        return self._calls.get(call_id)

    def open(self, event: FunctionInvoked, turn_id: str | None) -> Call:
        """A new call."""
        call = Call(event.call_id, event.name, event.response_id, turn_id, _key(event))
        self._calls[event.call_id] = call
        return call

    def finish(self, call_id: str) -> Call | None:
        """The call whose result is there; None if it is not waited for (any more)."""
        call = self._calls.get(call_id)
        if call is None or call.cancelled or call.output is not None:
            return None
        return call

    def cancel(self, call_id: str) -> Call | None:
        """Give up a call; None if it has ended already. In the log it stays, without a result."""
        call = self.finish(call_id)
        if call is None:
            return None
        call.cancelled = True
        item = self._conversation.get(call.item_id)
        if item is not None:
            item.status = "incomplete"
            self._conversation.changed(item)
        return call

    def output_in_turn(self, event: FunctionInvoked, turn_id: str | None) -> str | None:
        """The output of the same call, made for the same turn by an earlier response; None if there was none."""
        if turn_id is None:
            return None
        key = _key(event)
        for call in self._calls.values():
            if (
                call.turn_id == turn_id
                and call.key == key
                and call.response_id != event.response_id
            ):
                return call.output
        return None

    def item_of(self, call: Call, item_id: str, arguments: str) -> Item:
        """The log's entry of a call."""
        call.item_id = item_id
        return Item(
            id=item_id,
            kind="function_call",
            role="assistant",
            call_id=call.call_id,
            name=call.name,
            arguments=arguments,
            response_id=call.response_id,
            turn_id=call.turn_id,
        )

    def result_of(self, call: Call, item_id: str, output: str) -> Item:
        """The log's entry of a result; the call is complete with it."""
        call.output = output
        asked = self._conversation.get(call.item_id)
        if asked is not None:
            asked.status = "completed"
            self._conversation.changed(asked)
        return Item(
            id=item_id,
            kind="function_output",
            role="tool",
            status="completed",
            call_id=call.call_id,
            name=call.name,
            output=output,
            response_id=call.response_id,
            turn_id=call.turn_id,
        )


def _key(event: FunctionInvoked) -> tuple[str, str]:
    try:
        arguments = json.dumps(json.loads(event.arguments or "{}"), sort_keys=True)
    except ValueError:
        arguments = event.arguments
    return event.name, arguments
