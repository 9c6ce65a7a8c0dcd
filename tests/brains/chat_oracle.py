"""Judges messages of the chat-completions API: with OpenAI's own published types where the package is there, and always
by hand, for what the types let through."""

from __future__ import annotations

import importlib
import json
from typing import Any

try:
    # Imported by name: the package is not among the tools that everybody has.
    _types: Any = importlib.import_module("openai.types.chat")
    _params: Any = importlib.import_module("openai.types.chat.completion_create_params")
    from pydantic import TypeAdapter, ValidationError
except ImportError:
    VENDOR_TYPES = False
else:
    VENDOR_TYPES = True
    _REQUEST: Any = TypeAdapter(_params.CompletionCreateParamsStreaming)

#: Fields that real servers send though OpenAI's types do not have them.
EXTRA_IN_CHUNKS = {"reasoning_content", "reasoning", "thinking"}
_ROLES = ("system", "developer", "user", "assistant", "tool")


def check_request(body: Any) -> str | None:
    """What is wrong with a request, None if nothing is."""
    if VENDOR_TYPES:
        try:
            _REQUEST.validate_python(body)
        except ValidationError as e:
            return str(e.errors()[:2])
        if (
            unknown := set(body)
            - set(_params.CompletionCreateParamsStreaming.__annotations__)
            - _inherited()
        ):
            return f"unknown fields {sorted(unknown)}"
    if not isinstance(body.get("model"), str) or body.get("stream") is not True:
        return "a model and stream=true are required"
    return _check_messages(body.get("messages")) or _check_tools(body.get("tools"))


def _inherited() -> set[str]:
    return {
        name
        for base in _params.CompletionCreateParamsStreaming.__orig_bases__
        for name in base.__annotations__
    }


def _check_messages(messages: Any) -> str | None:
    if not isinstance(messages, list) or not messages:
        return "messages must be a list that is not empty"
    open_calls: list[str] = []
    for message in messages:
        role = message.get("role")
        if role not in _ROLES:
            return f"role {role!r}"
        if role == "tool":
            if message.get("tool_call_id") not in open_calls:
                return "a tool message must follow the assistant message with its call"
            open_calls.remove(message["tool_call_id"])
        elif open_calls:
            return f"tool calls {open_calls} have no result"
        if not message.get("tool_calls") and not isinstance(message.get("content"), str):
            return f"a message of role {role} without content"
        for call in message.get("tool_calls", ()):
            if call.get("type") != "function" or not isinstance(call["function"]["arguments"], str):
                return "a tool call is a function with arguments as text"
            open_calls.append(call["id"])
    return f"tool calls {open_calls} have no result" if open_calls else None


def _check_tools(tools: Any) -> str | None:
    if tools is None:
        return None
    if not tools:
        return "an empty list of tools"
    for tool in tools:
        if tool.get("type") != "function" or set(tool["function"]) - {
            "name",
            "description",
            "parameters",
            "strict",
        }:
            return f"not a function tool: {json.dumps(tool)}"
        if tool["function"]["parameters"].get("type") != "object":
            return "parameters are the schema of an object"
    return None


def check_chunk(chunk: dict[str, Any]) -> None:
    """Raise if a chunk is not what OpenAI would send. Faults are sent past this."""
    assert chunk["object"] == "chat.completion.chunk"
    if VENDOR_TYPES:
        _no_extra(_types.ChatCompletionChunk.model_validate(chunk))


def _no_extra(model: Any) -> None:
    unknown = set(model.model_extra or ()) - EXTRA_IN_CHUNKS
    assert not unknown, f"{type(model).__name__} has no {unknown}"
    for name in type(model).model_fields:
        value = getattr(model, name)
        for each in value if isinstance(value, list) else [value]:
            if hasattr(each, "model_extra"):
                _no_extra(each)
