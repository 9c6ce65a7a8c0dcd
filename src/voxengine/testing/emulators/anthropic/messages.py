"""The emulated Claude: answers a request of the Messages API, whole or streamed as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from voxengine.providers.mock.script import Reply
from voxengine.testing.emulators.anthropic.caching import Input, PromptCache
from voxengine.testing.emulators.anthropic.rules import blocks_of, refused
from voxengine.testing.emulators.faults import Drop, ErrorOnce, Malformed, Slow, Stall, UnknownEvent
from voxengine.testing.emulators.http import Answer, Request, json_answer
from voxengine.testing.emulators.metering import text_tokens
from voxengine.testing.emulators.server import Streamed

if TYPE_CHECKING:
    from voxengine.testing.emulators.anthropic.emulator import AnthropicEmulator

__all__ = ["Claude"]

#: Requests that are remembered.
_MAX_REQUESTS = 1000
#: The models that there are.
_MODELS = ("claude-haiku-5-5", "claude-sonnet-5-5", "claude-haiku-4-5")
#: Seconds between two pieces of an answer.
_PIECE_S = 0.02
_ERRORS = {"overloaded": "overloaded_error", "rate_limit": "rate_limit_error"}


class Claude:
    """Answers by the script of its emulator.

    Attributes:
        open: streams that nobody has ended.
        cache: what it was told to remember.
    """

    def __init__(self, emulator: AnthropicEmulator) -> None:
        self.open = 0
        self.cache = PromptCache()
        self._emulator = emulator
        self._calls = 0

    def listed(self) -> dict[str, Any]:
        """The models, as they are listed."""
        data = [
            {
                "type": "model",
                "id": name,
                "display_name": name.replace("-", " ").title(),
                "created_at": "2026-09-28T00:00:00Z",
                "lifecycle": "active",
            }
            for name in _MODELS
        ]
        for model in data:
            self._judged(model)
        return {"data": data, "has_more": False, "first_id": _MODELS[0], "last_id": _MODELS[-1]}

    def answer(self, request: Request) -> Answer | Streamed:
        """The answer to one request."""
        emulator = self._emulator
        problems = emulator.judge.client(request.body)
        if "anthropic-version" not in request.headers:
            problems = ["anthropic-version: header is required"]
        if problems:
            return emulator.refusal(400, "bad_request", problems[0])
        body = msgspec.json.decode(request.body)
        if body["model"] not in _MODELS:
            return emulator.refusal(404, "not_found", f"model: {body['model']}")
        if (wrong := refused(body)) is not None:
            return emulator.refusal(400, "bad_request", wrong)
        emulator.requests.append(body)
        del emulator.requests[:-_MAX_REQUESTS]
        reply = self._reply(body)
        if reply.error is not None:
            return emulator.refusal(529, "overloaded", reply.error)
        number = emulator.faults.responding()
        message = self._message(body, reply, number)
        if not body.get("stream"):
            self._judged(message)
            return json_answer(200, message)
        events = [*_events(message)]
        headers = {"Content-Type": "text/event-stream", "request-id": message["id"]}
        return Streamed(200, headers, self._stream(events, number))

    async def _stream(self, events: list[dict[str, Any]], number: int) -> AsyncGenerator[bytes]:
        emulator, pieces = self._emulator, 0
        pause = _PIECE_S
        self.open += 1
        try:
            await asyncio.sleep(emulator.settings.latency_ms / 1000)
            for event in events:
                struck = event["type"] in ("content_block_delta", "message_delta")
                for fault in emulator.faults.at_chunk(number, pieces) if struck else ():
                    match fault:
                        case Drop():
                            raise ConnectionResetError("told to drop it")
                        case Stall(seconds=seconds):
                            await asyncio.sleep(min(seconds, 3600.0))
                        case Slow(factor=factor):
                            pause *= factor
                        case Malformed(text=text):
                            yield f"event: message_delta\ndata: {text}\n\n".encode()
                        case UnknownEvent(event_type=kind):
                            yield _sse({"type": kind, "mood": "sunny"})
                        case ErrorOnce(code=code, message=words):
                            kind = _ERRORS.get(code, "api_error")
                            told = {"type": kind, "message": words}
                            error = {"type": "error", "error": told, "request_id": "req_emulated"}
                            self._judged(error)
                            yield _sse(error)
                            return
                self._judged(event)
                yield _sse(event)
                if event["type"] == "content_block_delta":
                    pieces += 1
                    await asyncio.sleep(pause)
        finally:
            self.open -= 1

    # -- inside

    def _judged(self, message: Mapping[str, Any]) -> None:
        for problem in self._emulator.judge.server(message):
            self._emulator.violated(f"{message['type']}: {problem}")

    def _reply(self, body: Mapping[str, Any]) -> Reply:
        """What is answered: to the results of tools, if they came last, or to the user."""
        emulator, blocks = self._emulator, blocks_of(body["messages"][-1])
        results = [block for block in blocks if block["type"] == "tool_result"]
        if results:
            outputs = [str(block.get("content", "")) for block in results]
            then = emulator.thens.get(results[0]["tool_use_id"])
            return emulator.script.after_tools(then, outputs)
        return emulator.script.reply_to(str(blocks[-1].get("text", "")))

    def _message(self, body: Mapping[str, Any], reply: Reply, number: int) -> dict[str, Any]:
        settings, known = self._emulator.settings, body.get("tools") or ()
        content: list[dict[str, Any]] = []
        thinking = body.get("thinking") or {}
        if settings.thoughts and thinking.get("type") != "disabled":
            thought = {"thinking": settings.thoughts, "signature": f"signed{number}=="}
            content.append({"type": "thinking", **thought})
        words, most = reply.text.split(" "), body["max_tokens"]
        text, reason = reply.text, "end_turn"
        if text_tokens(text) > most:
            text, reason = " ".join(words[: max(1, most)])[: most * 4], "max_tokens"
        last = str(blocks_of(body["messages"][-1])[-1].get("text", ""))
        if settings.refuses and settings.refuses in last:
            text, reason = "", "refusal"
        if text:
            content.append({"type": "text", "text": text})
        for use in reply.tools if any(known) and reason == "end_turn" else ():
            self._calls += 1
            call_id = f"toolu_{self._calls:04}"
            self._emulator.thens[call_id] = reply.then
            call = {"id": call_id, "name": use.name, "input": msgspec.json.decode(use.arguments)}
            content.append({"type": "tool_use", **call})
        if any(block["type"] == "tool_use" for block in content):
            reason = "tool_use"
        read = self.cache.read(body, settings.cache_minimum)
        return {
            "id": f"msg_{number:04}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": content,
            "stop_reason": reason,
            "stop_sequence": None,
            "usage": _usage(read, text_tokens(json.dumps(content))),
        }


def _usage(read: Input, output: int) -> dict[str, Any]:
    return {
        "input_tokens": read.fresh,
        "cache_creation_input_tokens": read.written,
        "cache_read_input_tokens": read.read,
        "output_tokens": output,
        "service_tier": "standard",
    }


def _events(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A message as it is streamed."""
    usage = message["usage"]
    begun = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    yield {"type": "message_start", "message": begun}
    yield {"type": "ping"}
    for index, block in enumerate(message["content"]):
        empty = {name: "" if isinstance(value, str) else {} for name, value in block.items()}
        empty |= {name: block[name] for name in ("type", "id", "name") if name in block}
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in _deltas(block):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {
        "type": "message_delta",
        "delta": delta,
        "usage": {"output_tokens": usage["output_tokens"]},
    }
    yield {"type": "message_stop"}


def _deltas(block: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    match block["type"]:
        case "thinking":
            yield {"type": "thinking_delta", "thinking": block["thinking"]}
            yield {"type": "signature_delta", "signature": block["signature"]}
        case "tool_use":
            text = json.dumps(block["input"])
            for at in range(0, len(text), 8):
                yield {"type": "input_json_delta", "partial_json": text[at : at + 8]}
        case _:
            for index, word in enumerate(block["text"].split(" ")):
                yield {"type": "text_delta", "text": (" " if index else "") + word}


def _sse(event: Mapping[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
