"""A chat-completions server on loopback: strict about what it is asked, and as faulty as a test wants it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from tests.brains.chat_oracle import check_chunk, check_request

#: In a body or instead of a head: say nothing until the client goes away.
STALL = object()
#: In a body or instead of a head: close the connection in the middle.
DROP = object()


def chunk(
    delta: dict[str, Any] | None = None,
    finish: str | None = None,
    *,
    usage: Any = None,
    **more: Any,
) -> bytes:
    """One event of the stream, as OpenAI sends it. Without a delta it is one without choices."""
    data: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_750_000_000,
        "model": "judge-1",
        "choices": [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}],
    } | more
    if usage is not None:
        data["usage"] = usage
    check_chunk(data)
    return event(json.dumps(data))


def event(data: str) -> bytes:
    """One event with any data."""
    return f"data: {data}\n\n".encode()


def said(*texts: str) -> list[bytes]:
    """Chunks of an answer, up to but without its end."""
    return [chunk({"role": "assistant", "content": ""}), *(chunk({"content": t}) for t in texts)]


DONE = event("[DONE]")
STOP = chunk({}, "stop")
USAGE = chunk(
    usage={
        "prompt_tokens": 12,
        "completion_tokens": 3,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
)


def whole(*texts: str) -> list[bytes]:
    """All chunks of a good answer."""
    return [*said(*texts), STOP, USAGE, DONE]


@dataclass
class Answer:
    """What the server does with a request. A number in `body` is a pause in seconds."""

    body: Iterable[Any] = ()
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    kind: str | None = "text/event-stream; charset=utf-8"
    #: STALL or DROP instead of any answer at all.
    instead: Any = None


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


class ChatServer:
    """Use as `async with ChatServer() as server`. It gives its `answers` in turn, the last one again and again."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [Answer(whole("Hello", " there."))]
        self.models = Answer([b"{}"], kind="application/json")
        self.requests: list[Request] = []
        self.connections = 0
        #: Set when a client has gone away in the middle of an answer.
        self.gone = asyncio.Event()
        #: Set when a request has come in.
        self.asked = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while (request := await self._read(reader)) is not None:
                if not await self._respond(self._choose(request), reader, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone.set()
        except asyncio.CancelledError:
            pass
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _read(self, reader: asyncio.StreamReader) -> Request | None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        except asyncio.IncompleteReadError:
            return None
        method, path, _ = head[0].split(" ")
        headers = {
            k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:]) if k
        }
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        request = Request(method, path, headers, json.loads(raw) if raw else None)
        self.requests.append(request)
        self.asked.set()
        return request

    def _choose(self, request: Request) -> Answer:
        if (request.method, request.path) == ("GET", "/v1/models"):
            return self.models
        if (request.method, request.path) != ("POST", "/v1/chat/completions"):
            return error(404, f"no route {request.path}")
        if (wrong := check_request(request.body)) is not None:
            return error(400, f"invalid request: {wrong}")
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def _respond(
        self, answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Returns whether the connection can be used again."""
        if answer.instead is not None:
            return await self._fault(answer.instead, reader)
        head = {"transfer-encoding": "chunked", **answer.headers}
        if answer.kind is not None:
            head["content-type"] = answer.kind
        lines = [f"HTTP/1.1 {answer.status} Whatever", *(f"{k}: {v}" for k, v in head.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        for part in answer.body:
            if isinstance(part, int | float):
                await asyncio.sleep(part)
            elif not isinstance(part, bytes):
                return await self._fault(part, reader)
            else:
                writer.write(b"%x\r\n%s\r\n" % (len(part), part))
                await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _fault(self, fault: object, reader: asyncio.StreamReader) -> bool:
        if fault is STALL:
            await reader.read(1)
            self.gone.set()
        return False


def error(status: int, message: str, code: Any = None, **headers: str) -> Answer:
    """An error in OpenAI's shape."""
    body = {"error": {"message": message, "type": "some_error", "param": None, "code": code}}
    return Answer(
        [json.dumps(body).encode()],
        status=status,
        headers={k.replace("_", "-"): v for k, v in headers.items()},
        kind="application/json",
    )
