"""Book-keeping of tool calls."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from voxengine.conversation import Conversation, Item
from voxengine.events import FunctionInvoked
from voxengine.session.replies import Reply

__all__ = ["Call", "Calls"]


@dataclass(slots=True)
class Call:
    """One call of a tool, from the assistant's wish to its result."""

    #: Its id in the log, and the vendor's: which may be one that another connection gave to another call.
    call_id: str
    vendor_id: str
    name: str
    #: The reply that it is a part of, while that is waited for.
    reply: Reply | None
    response_id: str | None
    turn_id: str | None
    #: Which connection it came over, counted from 1.
    leg: int
    #: What tells two calls apart that ask for the same: name and arguments, whatever the order of the keys.
    key: tuple[str, str]
    #: Its item in the log.
    item_id: str = ""
    output: str | None = None
    cancelled: bool = False
    #: Its result is not answered until that is asked for.
    silent: bool = False
    #: Calls of a later connection for the same, which wait for this one's output; of such a call, the one that runs.
    followers: list[str] = field(default_factory=list)
    leader: str | None = None


class Calls:
    """All calls of one conversation, by their ids in the log; `new_id` makes one where the vendor's is taken."""

    def __init__(self, conversation: Conversation, new_id: Callable[[], str]) -> None:
        self._conversation = conversation
        self._new_id = new_id
        self._calls: dict[str, Call] = {}
        #: Ids of calls that the conversation had before.
        self._earlier = frozenset(item.call_id for item in conversation)
        #: Those of the present connection, by the vendor's ids.
        self._present: dict[str, Call] = {}
        #: Which connection that is.
        self.leg = 1

    def next_leg(self) -> None:
        """Another connection is there, which counts its calls by itself. What runs goes on."""
        self._present.clear()
        self.leg += 1

    def get(self, vendor_id: str) -> Call | None:
        """The present connection's call of that id, whatever has become of it."""
        return self._present.get(vendor_id)

    def open(self, event: FunctionInvoked, reply: Reply) -> Call:
        """A new call."""
        taken = event.call_id in self._calls or event.call_id in self._earlier
        call = Call(
            call_id=self._new_id() if taken else event.call_id,
            vendor_id=event.call_id,
            name=event.name,
            reply=reply,
            response_id=event.response_id,
            turn_id=reply.turn_id,
            leg=self.leg,
            key=_key(event),
        )
        self._calls[call.call_id] = self._present[event.call_id] = call
        return call

    def let_go(self, call_id: str) -> None:
        """The call's reply is not waited for any more, but the tool goes on."""
        self._calls[call_id].reply = None

    def let_go_all(self) -> None:
        """No reply is waited for any more, but the tools go on."""
        for call in self._calls.values():
            call.reply = None

    def awaited_by(self) -> list[Reply]:
        """The replies that wait for the results of their calls."""
        found: list[Reply] = []
        for call in self._calls.values():
            reply = call.reply
            running = call.output is None and not call.cancelled
            if running and reply is not None and not any(reply is other for other in found):
                found.append(reply)
        return found

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

    def twin(self, call: Call) -> Call | None:
        """The same call, made for the same turn by an earlier response; None if there was none that still counts."""
        if call.turn_id is None:
            return None
        for other in self._calls.values():
            if (
                other.turn_id == call.turn_id
                and other.key == call.key
                and (other.response_id, other.leg) != (call.response_id, call.leg)
                and not other.cancelled
            ):
                return other
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
