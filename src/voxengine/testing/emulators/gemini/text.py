"""The emulated text models: `generateContent`, whole or streamed as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from voxengine.providers.mock.script import Reply
from voxengine.testing.emulators.faults import Drop, ErrorOnce, Malformed, Slow, Stall
from voxengine.testing.emulators.gemini.session import in_camel, text_of
from voxengine.testing.emulators.http import Answer, Request, json_answer
from voxengine.testing.emulators.metering import text_tokens
from voxengine.testing.emulators.server import Streamed
from voxengine.testing.oracles.gemini import generate_problems

if TYPE_CHECKING:
    from voxengine.testing.emulators.gemini.emulator import GeminiEmulator

__all__ = ["TextModel"]

#: Requests that are remembered.
MAX_REQUESTS = 1000


class TextModel:
    """Answers by the script of its emulator. Attributes: `open`, streams that nobody has ended."""

    def __init__(self, emulator: GeminiEmulator) -> None:
        self.open = 0
        self._emulator = emulator
        self._calls = 0

    def answer(self, request: Request, model: str, *, streamed: bool) -> Answer | Streamed:
        """The answer to one request."""
        emulator = self._emulator
        try:
            body = msgspec.json.decode(request.body)
            problems = generate_problems("client", {**body, "model": model})
        except (msgspec.DecodeError, TypeError) as failure:
            problems = [str(failure)]
        if problems:
            return emulator.refusal(400, "bad_request", problems[0])
        if not model.rpartition("/")[2].startswith("gemini"):
            return emulator.refusal(
                404, "not_found", f"{model} is not found for API version v1beta"
            )
        body = in_camel(body)
        emulator.requests.append(body)
        del emulator.requests[:-MAX_REQUESTS]
        reply = self._reply(body)
        prompt = text_tokens(json.dumps(body.get("contents", "")))
        chunks = self._chunks(model.rpartition("/")[2], reply, prompt)
        if reply.error is not None:
            return emulator.refusal(503, "overloaded", f"the model failed: {reply.error}")
        if not streamed:
            return json_answer(200, _whole(chunks))
        headers = {"Content-Type": "text/event-stream"}
        return Streamed(200, headers, self._stream(chunks))

    async def _stream(self, chunks: list[dict[str, Any]]) -> AsyncGenerator[bytes]:
        emulator = self._emulator
        number, slowness = emulator.faults.responding(), 1.0
        self.open += 1
        try:
            await asyncio.sleep(emulator.settings.latency_ms / 1000)
            for index, chunk in enumerate(chunks):
                for fault in emulator.faults.at_chunk(number, index):
                    match fault:
                        case Drop():
                            raise ConnectionResetError("told to drop it")
                        case Stall(seconds=seconds):
                            await asyncio.sleep(min(seconds, 3600.0))
                        case Slow(factor=factor):
                            slowness *= factor
                        case Malformed(text=text):
                            yield f"data: {text}\r\n\r\n".encode()
                        case ErrorOnce(message=message):
                            error = {"code": 503, "message": message, "status": "UNAVAILABLE"}
                            yield f"data: {json.dumps({'error': error})}\r\n\r\n".encode()
                            return
                for problem in generate_problems("server", chunk):
                    emulator.violated(f"generateContent: {problem}")
                yield f"data: {json.dumps(chunk)}\r\n\r\n".encode()
                await asyncio.sleep(0.02 * slowness)
        finally:
            self.open -= 1

    def _reply(self, body: Mapping[str, Any]) -> Reply:
        """What is answered: to the results of tools, if they came last, or to the user."""
        emulator, contents = self._emulator, body.get("contents") or [{}]
        results = [
            part["functionResponse"]
            for part in contents[-1].get("parts") or ()
            if "functionResponse" in part
        ]
        if results:
            outputs = [_output_of(result.get("response") or {}) for result in results]
            then = emulator.thens.get(results[0].get("id", ""))
            return emulator.script.after_tools(then, outputs)
        return emulator.script.reply_to(text_of(contents[-1]))

    def _chunks(self, model: str, reply: Reply, prompt: int) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = []
        settings = self._emulator.settings
        if settings.thoughts:
            parts.append({"text": settings.thoughts, "thought": True})
        for index, word in enumerate(reply.text.split()):
            parts.append({"text": (" " if index else "") + word})
        for use in reply.tools:
            self._calls += 1
            call_id = f"call_{self._calls}"
            self._emulator.thens[call_id] = reply.then
            call = {"id": call_id, "name": use.name, "args": msgspec.json.decode(use.arguments)}
            parts.append({"functionCall": call, "thoughtSignature": "c2lnbmVk"})
        chunks = [_chunk(model, [part]) for part in parts] or [_chunk(model, [{"text": ""}])]
        chunks[-1]["candidates"][0]["finishReason"] = "STOP"
        said = text_tokens(reply.text)
        thought = text_tokens(settings.thoughts)
        chunks[-1]["usageMetadata"] = {
            "promptTokenCount": prompt,
            "candidatesTokenCount": said,
            "thoughtsTokenCount": thought,
            "cachedContentTokenCount": settings.cached_tokens,
            "totalTokenCount": prompt + said + thought,
        }
        return chunks


def _chunk(model: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    content = {"role": "model", "parts": parts}
    return {"candidates": [{"content": content, "index": 0}], "modelVersion": model}


def _whole(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    parts = [part for c in chunks for part in c["candidates"][0]["content"]["parts"]]
    whole = dict(chunks[-1])
    whole["candidates"] = [
        {**chunks[-1]["candidates"][0], "content": {"role": "model", "parts": parts}}
    ]
    return whole


def _output_of(response: Mapping[str, Any]) -> str:
    output = response["output"] if [*response] == ["output"] else response
    return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
