"""The request of a chat completion, made from a conversation. Pure functions.

Facts from the OpenAI API reference, "Create chat completion" (also implemented by Ollama, llama.cpp and vLLM).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from voxengine.providers.cascade.parts import Message, ToolCall, ToolSpec

__all__ = ["adapt", "chat_messages", "chat_tools", "refused_feature"]

#: What the model is told of a call that was cut off: every call must have a result, or the server refuses all of it.
_NO_RESULT = '{"error": "cancelled before it gave a result"}'


def chat_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The conversation in the shape that servers insist on.

    The results of an assistant's calls follow it at once, whatever was said in the meantime; a call without a result is
    given one that says so; a result whose call is gone (the history was cut before it) is left out, and so is an empty
    message.
    """
    results = {m.call_id: m.text for m in messages if m.role == "tool"}
    out: list[dict[str, Any]] = []
    for message in messages:
        if message.role == "tool":
            continue
        if message.tool_calls:
            calls = [_call(c) for c in message.tool_calls]
            out.append({"role": "assistant", "content": message.text or None, "tool_calls": calls})
            for call in message.tool_calls:
                content = results.get(call.call_id, _NO_RESULT)
                out.append({"role": "tool", "tool_call_id": call.call_id, "content": content})
        elif message.text.strip():
            out.append({"role": message.role, "content": message.text})
    return out


def _call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.call_id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments or "{}"},
    }


def chat_tools(tools: Sequence[ToolSpec]) -> list[dict[str, Any]]:
    """The declarations of the tools."""
    return [
        {
            "type": "function",
            "function": {"name": t.name, "description": t.description, "parameters": t.parameters},
        }
        for t in tools
    ]


def refused_feature(body: Mapping[str, Any], complaint: str) -> str | None:
    """The optional field that a server's complaint (the text of its 400 answer) is about, None if it is another.

    Servers differ in three: old ones refuse `stream_options`, and OpenAI's reasoning models refuse `max_tokens` (they
    want `max_completion_tokens`) and `temperature`.
    """
    if "stream_options" in body and "stream_options" in complaint:
        return "stream_options"
    if "max_tokens" in body and "max_completion_tokens" in complaint:
        return "max_tokens"
    if "temperature" in body and "temperature" in complaint and "support" in complaint:
        return "temperature"
    return None


def adapt(body: Mapping[str, Any], refused: set[str]) -> dict[str, Any]:
    """The body without the fields that the server refused before."""
    adapted = {k: v for k, v in body.items() if k not in refused}
    if "max_tokens" in refused and "max_tokens" in body:
        adapted["max_completion_tokens"] = body["max_tokens"]
    return adapted
