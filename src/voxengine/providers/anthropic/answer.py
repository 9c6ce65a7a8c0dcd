"""The answer of the Messages API: the events of its stream, put together to what a brain says. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from voxengine.errors import MessageError, ProviderError
from voxengine.providers.anthropic.request import Block, Thoughts
from voxengine.providers.cascade.parts import (
    BrainEvent,
    BrainText,
    BrainToolCall,
    BrainUsage,
    ToolCall,
)

__all__ = ["Answer"]

#: Counts of the input: what was read anew, written into the cache, and read from it. Together they are the input.
_INPUT = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


class Answer:
    """One answer, from the vendor's events (`anthropic.types.RawMessageStreamEvent`)."""

    def __init__(self, model: str, thoughts: Thoughts) -> None:
        self._model = model
        self._thoughts = thoughts
        self._counts: dict[str, int] = {}
        #: Blocks that are no text, by their place in the answer: calls, and thoughts that belong to them.
        self._blocks: dict[int, Block] = {}
        self._json: dict[int, str] = {}
        #: Why it ended, None before that.
        self._reason: str | None = None
        #: Whether the vendor has said that it is over.
        self.done = False

    def feed(self, event: Any) -> Iterator[BrainEvent]:
        """What one event adds. Thoughts add nothing: they are not said."""
        match event.type:
            case "message_start":
                self._model = event.message.model or self._model
                self._count(event.message.usage)
            case "content_block_start":
                block = event.content_block
                if block.type == "text" and block.text:
                    yield BrainText(block.text)
                elif block.type in ("tool_use", "thinking", "redacted_thinking"):
                    self._blocks[event.index] = block.model_dump(exclude_none=True)
            case "content_block_delta":
                yield from self._delta(event.index, event.delta)
            case "message_delta":
                self._reason = event.delta.stop_reason or self._reason
                self._count(event.usage)
            case "message_stop":
                self.done = True

    def end(self) -> Iterator[BrainEvent]:
        """The stream is over: the calls, and what it cost.

        Raises:
            ProviderError: it was cut off (`closed`), refused (`content_filter`), too long for the model
                (`context_length`), or a call in it is not complete (`bad_response`).
        """
        if self._counts:
            yield self._usage()
        if self._reason is None:
            raise ProviderError(
                "Claude's answer ended before it was complete", code="closed", retryable=True
            )
        if self._reason == "refusal":
            raise ProviderError("Claude declined to answer (refusal)", code="content_filter")
        if self._reason == "model_context_window_exceeded":
            raise MessageError("the conversation is too long for this model", code="context_length")
        yield from self._calls()

    def _delta(self, index: int, delta: Any) -> Iterator[BrainEvent]:
        match delta.type:
            case "text_delta" if delta.text:
                yield BrainText(delta.text)
            case "input_json_delta":
                self._json[index] = self._json.get(index, "") + delta.partial_json
            case "thinking_delta" if index in self._blocks:
                self._blocks[index]["thinking"] += delta.thinking
            case "signature_delta" if index in self._blocks:
                self._blocks[index]["signature"] = delta.signature

    def _calls(self) -> Iterator[BrainEvent]:
        thoughts: list[Block] = []
        first = True
        for index, block in sorted(self._blocks.items()):
            if block["type"] != "tool_use":
                thoughts.append(block)
                continue
            if self._reason == "max_tokens":
                raise MessageError(
                    "Claude's token limit cut a tool call off: raise max_tokens",
                    code="bad_response",
                )
            arguments = self._json.get(index) or msgspec.json.encode(block["input"]).decode()
            if first and thoughts:
                self._thoughts.keep(block["id"], thoughts)
            first = False
            yield BrainToolCall(ToolCall(block["id"], block["name"], arguments))

    def _count(self, usage: Any) -> None:
        """All counts are sums so far."""
        for name in (*_INPUT, "output_tokens"):
            value = getattr(usage, name, None)
            if value is not None:
                self._counts[name] = value

    def _usage(self) -> BrainUsage:
        return BrainUsage(
            self._model,
            input_tokens=sum(self._counts.get(name, 0) for name in _INPUT),
            cached_tokens=self._counts.get("cache_read_input_tokens", 0),
            output_tokens=self._counts.get("output_tokens", 0),
        )
