"""A conversation as the Messages API takes it. Pure functions.

Facts: the types of the `anthropic` package (2.12), and platform.claude.com, "Prompt caching". What the API insists on:
user and assistant by turns, beginning and ending with the user (no model of today continues an assistant's text); no
empty text; the results of an assistant's calls stand first in the message that follows.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from voxengine.providers.cascade.parts import Message, ToolCall, ToolSpec

__all__ = ["Block", "Thoughts", "cached", "messages_of", "system_of", "tools_of"]

Block: TypeAlias = dict[str, Any]

#: Calls of which it is remembered what the model thought before them.
_MAX_CALLS = 1000
#: What the model is told of a call that was cut off, and what stands for the user where nobody has said anything.
_NO_RESULT = "cancelled before it gave a result"
_BEGIN = "(the conversation begins)"
_GO_ON = "(nothing was said)"
#: What the ids of calls may hold; another vendor's may hold more.
_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")
_EPHEMERAL = {"type": "ephemeral"}


class Thoughts:
    """What the model thought before it called a tool: it wants to see that again with the call's result."""

    def __init__(self) -> None:
        self._by_call: OrderedDict[str, list[Block]] = OrderedDict()

    def keep(self, call_id: str, blocks: Sequence[Block]) -> None:
        """Remember it."""
        self._by_call[call_id] = [*blocks]
        while len(self._by_call) > _MAX_CALLS:
            self._by_call.popitem(last=False)

    def of(self, call_id: str) -> list[Block]:
        """The blocks before that call."""
        return self._by_call.get(call_id, [])


def system_of(messages: Sequence[Message]) -> list[Block]:
    """What stands before the conversation."""
    blocks = []
    for message in messages:
        if message.role != "system":
            break
        if message.text.strip():
            blocks.append({"type": "text", "text": message.text})
    return blocks


def messages_of(messages: Sequence[Message], thoughts: Thoughts) -> list[dict[str, Any]]:
    """The conversation, user and assistant by turns."""
    results = {m.call_id: m.text for m in messages if m.role == "tool"}
    turns: list[dict[str, Any]] = []
    begun = False
    for message in messages:
        begun = begun or message.role != "system"
        if not begun or message.role == "tool":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        text = message.text.rstrip() if role == "assistant" else message.text
        said = [{"type": "text", "text": _marked(message.role, text)}] if text.strip() else []
        if message.tool_calls:
            # What it thought goes before what it said.
            thought = thoughts.of(message.tool_calls[0].call_id)
            _add(turns, role, [*map(dict, thought), *said, *map(_call, message.tool_calls)])
            _add(turns, "user", [_result(call, results) for call in message.tool_calls])
        elif said:
            _add(turns, role, said)
    if not turns or turns[0]["role"] != "user":
        turns.insert(0, {"role": "user", "content": [{"type": "text", "text": _BEGIN}]})
    if turns[-1]["role"] != "user":
        turns.append({"role": "user", "content": [{"type": "text", "text": _GO_ON}]})
    return turns


def tools_of(tools: Iterable[ToolSpec]) -> list[Block]:
    """The declarations of the tools."""
    return [
        {
            "name": tool.name,
            "description": tool.description,
            "input_schema": {"type": "object", **tool.parameters},
        }
        for tool in tools
    ]


def cached(body: Mapping[str, Any]) -> dict[str, Any]:
    """The request with marks up to where the vendor is to remember it, for the next one that begins in the same way.

    That is after the instructions and the tools, which stay; and after the last message that nobody changes any more:
    what the user is just saying may yet go on, what was said before that may not.
    """
    marked = dict(body)
    for name in ("system", "tools"):
        if marked.get(name):
            marked[name] = _mark_last(marked[name])
            break
    turns = marked["messages"]
    last = len(turns) - 1
    if turns[last]["content"][-1]["type"] != "tool_result":
        last -= 1
    if last >= 0:
        turn = {**turns[last], "content": _mark_last(turns[last]["content"])}
        marked["messages"] = [*turns[:last], turn, *turns[last + 1 :]]
    return marked


def _mark_last(blocks: Sequence[Block]) -> list[Block]:
    return [*blocks[:-1], {**blocks[-1], "cache_control": _EPHEMERAL}]


def _add(turns: list[dict[str, Any]], role: str, blocks: list[Block]) -> None:
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] += blocks
    else:
        turns.append({"role": role, "content": blocks})


def _marked(role: str, text: str) -> str:
    return f"[Note to the assistant, not said by the user] {text}" if role == "system" else text


def _call(call: ToolCall) -> Block:
    made = {"id": _id(call.call_id), "name": call.name, "input": _object(call.arguments)}
    return {"type": "tool_use", **made}


def _result(call: ToolCall, results: Mapping[str | None, str]) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": _id(call.call_id)}
    if call.call_id not in results:
        return block | {"content": _NO_RESULT, "is_error": True}
    return block | {"content": results[call.call_id] or "(no result)"}


def _id(call_id: str) -> str:
    return _NOT_IN_IDS.sub("_", call_id) or "_"


def _object(arguments: str) -> dict[str, Any]:
    """The arguments as an object; what is none is told under a name of its own."""
    try:
        value = msgspec.json.decode(arguments or "{}")
    except (msgspec.DecodeError, RecursionError):
        value = arguments
    return value if isinstance(value, dict) else {"arguments": value}
