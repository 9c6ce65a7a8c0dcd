"""A conversation as the text models take it, and what comes of their streams; pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from voxengine.errors import MessageError, ProviderError
from voxengine.providers.cascade.parts import (
    BrainEvent,
    BrainText,
    BrainToolCall,
    BrainUsage,
    Message,
    ToolCall,
    ToolSpec,
)
from voxengine.providers.gemini.shape import content, note

__all__ = ["Signatures", "Stream", "contents_of", "instruction_of", "tools_of"]

#: Calls whose signatures are remembered; of older ones the model is told without.
_MAX_SIGNATURES = 1000
#: In place of the signature of a call that another model has made: the vendor's own word for that
#: (ai.google.dev/gemini-api/docs/thought-signatures).
_NOT_SIGNED = b"skip_thought_signature_validator"

_BLOCKED = frozenset(
    {"SAFETY", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "RECITATION", "LANGUAGE"}
)
_FAILED = frozenset({"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"})


class Signatures:
    """What a model has signed its calls with, which it wants to see again."""

    def __init__(self) -> None:
        self._by_call: OrderedDict[str, bytes] = OrderedDict()

    def keep(self, call_id: str, signature: bytes) -> None:
        """Remember one."""
        self._by_call[call_id] = signature
        while len(self._by_call) > _MAX_SIGNATURES:
            self._by_call.popitem(last=False)

    def of(self, call_id: str) -> bytes:
        """That of a call."""
        return self._by_call.get(call_id, _NOT_SIGNED)


def instruction_of(messages: Sequence[Message]) -> str | None:
    """What stands before the conversation."""
    texts = []
    for message in messages:
        if message.role != "system":
            break
        texts.append(message.text)
    return "\n\n".join(texts) or None


def contents_of(messages: Sequence[Message], signatures: Signatures) -> list[dict[str, Any]]:
    """The conversation, user and model by turns."""
    contents: list[dict[str, Any]] = []
    names: dict[str | None, str] = {}
    begun = False
    for message in messages:
        begun = begun or message.role != "system"
        if not begun:
            continue
        role = "model" if message.role == "assistant" else "user"
        parts = [*_parts_of(message, names, signatures)]
        if not parts:
            continue
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        else:
            contents.append({"role": role, "parts": parts})
    # It answers the user: somebody has to have said something.
    return contents or [content("user", note("The conversation begins."))]


def _parts_of(
    message: Message, names: dict[str | None, str], signatures: Signatures
) -> Iterator[dict[str, Any]]:
    if message.role == "tool":
        name = names.get(message.call_id, "unknown")
        response = {"id": message.call_id, "name": name, "response": _object_of(message.text)}
        yield {"function_response": response}
        return
    if message.text:
        yield {"text": note(message.text) if message.role == "system" else message.text}
    for number, call in enumerate(message.tool_calls):
        names[call.call_id] = call.name
        made = {"id": call.call_id, "name": call.name, "args": _object_of(call.arguments)}
        part: dict[str, Any] = {"function_call": made}
        if number == 0:  # of several at a time the first one is signed
            part["thought_signature"] = signatures.of(call.call_id)
        yield part


def tools_of(tools: Iterable[ToolSpec]) -> list[dict[str, Any]]:
    """The tools as functions."""
    declared = [
        {
            "name": tool.name,
            "description": tool.description,
            "parameters_json_schema": tool.parameters,
        }
        for tool in tools
    ]
    return [{"function_declarations": declared}] if declared else []


class Stream:
    """One answer, from the vendor's responses."""

    def __init__(self, model: str, signatures: Signatures) -> None:
        self._model = model
        self._signatures = signatures
        self._usage: Any = None
        self._calls = 0
        self._said = False
        #: Why it ended, None before that.
        self._finish: str | None = None

    def feed(self, response: Any) -> Iterator[BrainEvent]:
        """A piece of it: a `google.genai.types.GenerateContentResponse`.

        Raises:
            ProviderError: it was blocked (`content_filter`), or is no answer (`bad_response`).
        """
        self._usage = response.usage_metadata or self._usage
        feedback = response.prompt_feedback
        if feedback is not None and feedback.block_reason is not None:
            raise self._blocked(_name_of(feedback.block_reason))
        for candidate in (response.candidates or ())[:1]:
            parts = (candidate.content.parts if candidate.content is not None else None) or ()
            for part in parts:
                yield from self._part(part)
            if candidate.finish_reason is not None:
                self._finish = _name_of(candidate.finish_reason)

    def end(self) -> Iterator[BrainEvent]:
        """It has ended.

        Raises:
            ProviderError: as of `feed`; or it was not complete (`closed`).
        """
        if self._usage is not None:
            yield self._used(self._usage)
        if self._finish is None:
            raise ProviderError(
                "the answer ended before it was complete", code="closed", retryable=True
            )
        if self._finish in _FAILED:
            raise MessageError(f"the model failed: {self._finish}", code="bad_response")
        if self._finish in _BLOCKED and not self._said:
            raise self._blocked(self._finish)

    def _part(self, part: Any) -> Iterator[BrainEvent]:
        if part.function_call is not None:
            call = part.function_call
            self._calls += 1
            call_id = call.id or f"call_{id(self):x}_{self._calls}"
            if part.thought_signature:
                self._signatures.keep(call_id, part.thought_signature)
            arguments = msgspec.json.encode(call.args or {}).decode()
            self._said = True
            yield BrainToolCall(ToolCall(call_id, call.name or "", arguments))
        elif part.text and not part.thought:
            self._said = True
            yield BrainText(part.text)

    def _used(self, usage: Any) -> BrainUsage:
        return BrainUsage(
            self._model,
            input_tokens=(usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0),
            cached_tokens=usage.cached_content_token_count or 0,
            output_tokens=(usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
        )

    def _blocked(self, reason: str) -> ProviderError:
        return ProviderError(f"the answer was blocked: {reason}", code="content_filter")


def _name_of(value: Any) -> str:
    return str(getattr(value, "value", value))


def _object_of(text: str) -> Mapping[str, Any]:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        value = text
    return value if isinstance(value, dict) else {"output": value}
