"""Functions that the client runs: tools of the engine that wait for the client's `function_call_output`."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from voxengine.conversation import Conversation, Item
from voxengine.events import FunctionInvoked
from voxengine.realtime.errors import Complaint
from voxengine.session import Tool

if TYPE_CHECKING:
    from voxengine.gateway.wire.response import Response

__all__ = ["Functions", "client_tool"]

#: Seconds that a client may take for a function.
CLIENT_BUDGET = 600.0
#: Calls of which it is remembered what they asked for.
MEMORY = 64


class _Known(msgspec.Struct, frozen=True):
    #: What two calls have in common of which a later connection makes the second: the turn, the name, the arguments.
    key: tuple[str | None, str, str]
    response: str


async def _wait(**_: Any) -> None:
    """The client's output ends the call; whoever waits here is cancelled then."""
    await asyncio.Event().wait()


def client_tool(tool: dict[str, Any]) -> Tool:
    """The engine's tool for a function of the client, in OpenAI's form.

    Raises:
        Complaint: it is no function.
        ToolError: its name cannot be that of one.
    """
    if tool["type"] != "function":
        raise Complaint(
            "Tools of remote servers (MCP) are not available here.", "invalid_value", "tools"
        )
    return Tool(
        _wait,
        name=tool["name"],
        description=tool.get("description") or "",
        parameters=tool.get("parameters") or {"type": "object", "properties": {}},
        timeout=CLIENT_BUDGET,
        responds=False,
    )


class Functions:
    """Which functions are the client's, and which of their calls it has been told of."""

    def __init__(self, own: Sequence[Tool]) -> None:
        #: The route's, which the gateway runs itself.
        self._own = {tool.name: tool for tool in own}
        self._names: frozenset[str] = frozenset()
        self._calls: OrderedDict[str, _Known] = OrderedDict()

    def set(self, tools: Sequence[dict[str, Any]]) -> list[Tool]:
        """The client's functions are these now; all tools that the engine is to have.

        Raises:
            Complaint: one of them has the name of a tool of the route's, or is no function.
            ToolError: a name does not do.
        """
        made = [client_tool(tool) for tool in tools]
        self.check(made, "session.tools")
        self._names = frozenset(tool.name for tool in made)
        return [*self._own.values(), *made]

    def check(self, tools: Sequence[Tool], at: str) -> None:
        """Look whether the client may have these.

        Raises:
            Complaint: one of them has the name of a tool of the route's.
        """
        for i, tool in enumerate(tools):
            if tool.name in self._own:
                raise Complaint(
                    f"The tool '{tool.name}' is the route's own.",
                    "invalid_value",
                    f"{at}[{i}].name",
                )

    def is_clients(
        self, event: FunctionInvoked, item: Item, response: Response, log: Conversation
    ) -> bool:
        """Whether the client is to run this call, which is part of that response.

        Not what the gateway runs; and not what a connection that took over asks for once more, while the client is at
        it: the engine gives its result to both.
        """
        if event.name not in self._names.union(tool.name for tool in response.plan.tools):
            return False
        key = (item.turn_id, event.name, _normal(event.arguments))
        waits = self._at_work(key, response.id, log)
        self._calls[event.call_id] = _Known(key, response.id)
        if len(self._calls) > MEMORY:
            self._calls.popitem(last=False)
        return not waits

    def cancelled(self, call_id: str) -> None:
        """Nobody waits for that call any more."""
        self._calls.pop(call_id, None)

    def _at_work(self, key: tuple[str | None, str, str], response: str, log: Conversation) -> bool:
        if key[0] is None:
            return False
        same = {i for i, c in self._calls.items() if c.key == key and c.response != response}
        done = {item.call_id for item in log if item.kind == "function_output"} if same else set()
        return bool(same - done)


def _normal(arguments: str) -> str:
    try:
        return json.dumps(json.loads(arguments or "{}"), sort_keys=True)
    except ValueError:
        return arguments
