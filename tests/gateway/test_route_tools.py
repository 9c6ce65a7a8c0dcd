"""Tools of a route that the gateway runs: by a request to a service, or a Python function."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response

from tests.gateway.gateways import ANYONE, Client, config, running
from voxengine.errors import ConfigurationError
from voxengine.gateway.gateway import Gateway
from voxengine.gateway.server import Front

SCHEMA = {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]}


def look_up(order: str, count: int = 1) -> dict[str, Any]:
    """Find an order.

    Args:
        order: its number.
    """
    return {"order": order, "count": count + 1}


class Service:
    """What the tools ask."""

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, str], Any]] = []
        self.answer: Response = Response(json.dumps({"state": "sent"}))
        self.delay = 0.0
        self.url = ""
        self.app = FastAPI()
        self.app.add_api_route("/look_up", self.take, methods=["POST"])

    async def take(self, request: Request) -> Response:
        self.asked.append((dict(request.headers), await request.json()))
        await asyncio.sleep(self.delay)
        return self.answer


@asynccontextmanager
async def service() -> AsyncIterator[Service]:
    made = Service()
    front = Front(made.app, sockets={})
    await front.start()
    made.url = f"http://127.0.0.1:{front.port}/look_up"
    try:
        yield made
    finally:
        await front.close()


def content(**tool: Any) -> dict[str, Any]:
    replies = {"Where is it?": {"tool": {"name": "look_up", "arguments": {"order": "A7"}}}}
    mock = {"provider": "mock", "metadata": {"mock_responses": replies}}
    return {
        "providers": {"scripted": mock},
        "routes": {
            "desk": {"providers": ["scripted"], "tools": [{"name": "look_up", **tool}]},
        },
    }


async def outcome(gateway: Gateway) -> str:
    """What the assistant was told of its call."""
    call = await gateway.open_call(wire="websocket", model="desk", grant=ANYONE)
    call.attach(Client())
    await call.engine.send_text("Where is it?")
    for _ in range(100):
        await asyncio.sleep(0.5)
        for item in call.engine.conversation:
            if item.kind == "function_output":
                return str(item.output)
    raise AssertionError("the tool was not called")


async def test_a_service_is_asked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DESK_TOKEN", "Bearer secret")
    async with service() as desk:
        tool = {"url": desk.url, "headers_env": {"Authorization": "DESK_TOKEN", "X-No": "UNSET"}}
        async with running(content(parameters=SCHEMA, **tool)) as gateway:
            assert json.loads(await outcome(gateway)) == {"state": "sent"}

        headers, body = desk.asked[0]
        assert body == {"order": "A7"}
        assert headers["authorization"] == "Bearer secret"
        assert headers["content-type"] == "application/json"
        assert "x-no" not in headers


ANSWERS = [
    (Response(b""), '{"ok": true}'),
    (PlainTextResponse("On its way"), "On its way"),
    (Response(b"{}", 500), "status 500"),
    (RedirectResponse("http://127.0.0.1:1/elsewhere"), "status 307"),
    (Response(b"x" * 300_000), "longer than 262144 bytes"),
]


@pytest.mark.parametrize(("answer", "words"), ANSWERS)
async def test_what_the_service_answers(answer: Response, words: str):
    async with service() as desk:
        desk.answer = answer
        async with running(content(url=desk.url)) as gateway:
            assert words in await outcome(gateway)


async def test_a_service_that_is_slow():
    async with service() as desk:
        desk.delay = 5
        async with running(content(url=desk.url, timeout=2)) as gateway:
            assert "no result within 2 s" in await outcome(gateway)


async def test_a_service_that_is_not_there():
    async with running(content(url="http://127.0.0.1:1/secret-path")) as gateway:
        told = await outcome(gateway)

    assert "the service did not answer (ConnectError)" in told
    assert "secret-path" not in told


async def test_a_function():
    async with running(content(function=f"{__name__}:look_up")) as gateway:
        # Its type hints say what its arguments are, and what they are by default.
        assert json.loads(await outcome(gateway)) == {"order": "A7", "count": 2}
        tool = gateway.tools.of(gateway.routes.resolve("desk"))[0]
        assert tool.description == "Find an order."
        assert tool.parameters["properties"]["order"]["description"] == "its number."


async def test_the_tools_of_the_client_are_not_among_them():
    async with running(content()) as gateway:
        assert gateway.tools.of(gateway.routes.resolve("desk")) == ()


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("nowhere.at_all:f", "'nowhere.at_all:f' is not there"),
        (f"{__name__}:nothing", "is not there"),
        (f"{__name__}:SCHEMA", "is not a function"),
    ],
)
async def test_a_function_that_does_not_do(function: str, words: str):
    with pytest.raises(ConfigurationError, match=words):
        Gateway(config(content(function=function)))
