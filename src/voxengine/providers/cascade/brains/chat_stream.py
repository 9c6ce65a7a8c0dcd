"""The answer of a chat endpoint: its chunks, put together to what a brain says. Pure, without I/O."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import msgspec

from voxengine.errors import MessageError, ProviderError
from voxengine.providers.cascade.brains.chat_errors import error_of_stream
from voxengine.providers.cascade.brains.thoughts import ThoughtFilter
from voxengine.providers.cascade.parts import (
    BrainEvent,
    BrainText,
    BrainToolCall,
    BrainUsage,
    ToolCall,
)

__all__ = ["ChatStream"]

#: Tool calls of one answer; more is a server gone wrong.
_MAX_CALLS = 128


class _Function(msgspec.Struct):
    name: str | None = None
    #: JSON text in pieces; some servers send the object itself.
    arguments: str | dict[str, Any] | None = None


class _CallDelta(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | list[Any] | None = None
    tool_calls: list[_CallDelta] | None = None
    # Where servers put what the model thinks: DeepSeek and vLLM, OpenRouter, Ollama.
    reasoning_content: Any = None
    reasoning: Any = None
    thinking: Any = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | msgspec.UnsetType | None = msgspec.UNSET
    usage: _Usage | None = None
    model: str | None = None
    error: Any = None


@dataclass(slots=True)
class _Call:
    """A call whose arguments are still coming in."""

    call_id: str = ""
    name: str = ""
    arguments: str = ""


class ChatStream:
    """One answer.

    Args:
        model: the name that was asked for; what the server says is used where it says one.
        where: the endpoint, for errors.
    """

    def __init__(self, *, model: str, where: str) -> None:
        self._asked = self._model = model
        self._where = where
        self._thoughts = ThoughtFilter()
        self._calls: dict[int, _Call] = {}
        self._usage: _Usage | None = None
        #: Whether the model has said that it is done. Only the usage may follow.
        self.finished = False
        #: Whether the server has said that the stream is over.
        self.done = False
        #: Whether the last chunk brought anything of the answer (a thought counts, a sign of life does not).
        self.progress = False

    def feed(self, data: str) -> list[BrainEvent]:
        """What one event of the stream adds.

        Raises:
            ProviderError: the event is not one of a chat completion (code bad_response), or reports an error.
        """
        self.progress = False
        if data.strip() == "[DONE]":
            self.done = True
            return []
        try:
            chunk = msgspec.json.decode(data, type=_Chunk)
        except msgspec.DecodeError as e:
            raise self._garbage(f"{e}: {data[:100]!r}") from e
        if chunk.error:
            raise error_of_stream(chunk.error, where=self._where, model=self._asked)
        if chunk.choices is msgspec.UNSET and chunk.usage is None:
            raise self._garbage(f"no chunk of a chat completion: {data[:100]!r}")
        self._model = chunk.model or self._model
        self._usage = chunk.usage or self._usage
        choice = next((c for c in chunk.choices or () if c.index == 0), None)
        return self._choice(choice) if choice is not None else []

    def end(self) -> list[BrainEvent]:
        """What is left to say once the stream is over.

        Raises:
            MessageError: it was cut off before the model was done.
        """
        if not self.finished and not self.done:
            raise MessageError(
                f"{self._where} cut its answer off in the middle",
                code="bad_response",
                retryable=True,
            )
        events = [] if self.finished else self._finish(None)
        if self._usage is not None:
            events.append(_usage(self._model, self._usage))
        return events

    def _choice(self, choice: _Choice) -> list[BrainEvent]:
        events: list[BrainEvent] = []
        delta = choice.delta or _Delta()
        content = _text(delta.content)
        self.progress = bool(
            content
            or delta.tool_calls
            or delta.reasoning_content
            or delta.reasoning
            or delta.thinking
        )
        if text := self._thoughts.feed(content):
            events.append(BrainText(text))
        for part in delta.tool_calls or ():
            self._add_call(part)
        if choice.finish_reason and not self.finished:
            self.progress = True
            events += self._finish(choice.finish_reason)
        return events

    def _finish(self, reason: str | None) -> list[BrainEvent]:
        self.finished = True
        if reason == "length" and self._calls:
            raise MessageError(
                f"{self._where} cut a tool call off at its token limit: raise max_tokens",
                code="bad_response",
            )
        if reason == "content_filter":
            raise ProviderError(
                f"{self._where} withheld the answer (content filter)", code="content_filter"
            )
        events: list[BrainEvent] = []
        if text := self._thoughts.flush():
            events.append(BrainText(text))
        for _, call in sorted(self._calls.items()):
            if not call.name:
                raise self._garbage("a tool call without a name")
            call_id = call.call_id or f"call_{secrets.token_hex(9)}"
            events.append(
                BrainToolCall(ToolCall(call_id, call.name, call.arguments.strip() or "{}"))
            )
        return events

    def _add_call(self, part: _CallDelta) -> None:
        index = part.index
        if index is None:
            # Without an index, an id or a name begins a new call, and anything else goes on with the last one.
            begins = bool(part.id or (part.function and part.function.name))
            index = max(self._calls, default=-1) + (1 if begins or not self._calls else 0)
        if index not in self._calls and len(self._calls) >= _MAX_CALLS:
            raise self._garbage(f"more than {_MAX_CALLS} tool calls")
        call = self._calls.setdefault(index, _Call())
        call.call_id = call.call_id or part.id or ""
        if part.function is None:
            return
        # Some servers repeat the name in every piece.
        call.name = call.name or part.function.name or ""
        arguments = part.function.arguments
        if isinstance(arguments, dict):
            arguments = msgspec.json.encode(arguments).decode()
        call.arguments += arguments or ""

    def _garbage(self, what: str) -> MessageError:
        return MessageError(f"{self._where} sent {what}", code="bad_response")


def _text(content: str | list[Any] | None) -> str:
    """The text of a content; one in parts (Mistral) also holds thoughts, which are left out."""
    if not isinstance(content, list):
        return content or ""
    parts = (p.get("text") for p in content if isinstance(p, dict) and p.get("type") == "text")
    return "".join(p for p in parts if isinstance(p, str))


def _usage(model: str, usage: _Usage) -> BrainUsage:
    details = usage.prompt_tokens_details
    return BrainUsage(
        model=model,
        input_tokens=usage.prompt_tokens or 0,
        cached_tokens=(details.cached_tokens or 0) if details else 0,
        output_tokens=usage.completion_tokens or 0,
    )
