"""The stream of a call's events: what is in it, how it goes on, how it ends, and who is too slow for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.auth.conftest import Doors
from tests.gateway.gateways import running
from tests.gateway.operators.house import code_of, house
from voxengine.events import ErrorGeneral, SystemWarning
from voxengine.gateway.grants import Grant
from voxengine.gateway.http import feed
from voxengine.gateway.http.feed import Feeds
from voxengine.gateway.refusal import Refused

ANYONE = Grant(key_id="anyone")


def parsed(block: str) -> dict[str, Any]:
    lines = dict(line.split(": ", 1) for line in block.splitlines() if line)
    event = json.loads(lines["data"])
    assert event["type"] == lines["event"]
    return {**event, "id": lines.get("id")}


async def read(answer: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    text = ""
    async for part in answer.aiter_text():
        text += part
        *blocks, text = text.split("\n\n")
        for block in blocks:
            if "data: " in block:
                yield parsed(block)


async def test_it_tells_what_happens_until_the_call_ends(doors: Doors, tmp_path: Path) -> None:
    key = doors.key()
    async with house(tmp_path) as there, there.client(key) as http:
        call = await there.call(key)
        path = f"/v1/calls/{call.id}/events"
        async with http.stream("GET", path) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["cache-control"] == "no-store"
            await call.engine.send_text("hello")
            await asyncio.sleep(5)
            await call.end("enough")
            told = [event async for event in read(answer)]
    kinds = [event["type"] for event in told]
    assert kinds.index("text_input") < kinds.index("response_started")
    assert kinds.index("response_completed") < kinds.index("conversation_ended")
    assert "audio_chunk" not in kinds
    assert "raw" not in kinds
    numbers = [int(event["id"].split("-")[1]) for event in told]
    assert numbers == list(range(1, len(told) + 1))
    cost = next(event for event in told if event["type"] == "cost_updated")
    assert cost["data"]["cost"] == 0.0
    assert cost["provider"] == "mock"
    items = [e["data"]["item"] for e in told if e["type"] == "conversation_updated"]
    assert items[0]["text"] == "hello"
    assert call.session_id not in str(told)


async def test_it_goes_on_where_it_was_left(doors: Doors, tmp_path: Path) -> None:
    key = doors.key()
    async with house(tmp_path, resume_window=1000.0) as there, there.client(key) as http:
        call = await there.call(key)
        path = f"/v1/calls/{call.id}/events"
        async with http.stream("GET", path) as answer:
            await call.engine.send_text("hello")
            async for event in read(answer):
                if event["type"] == "response_started":
                    break
        await asyncio.sleep(5)  # what happens now is missed
        async with http.stream("GET", path, headers={"last-event-id": event["id"]}) as answer:
            first = await anext(aiter(read(answer)))
        assert int(first["id"].split("-")[1]) == int(event["id"].split("-")[1]) + 1
        # When nobody listens for long, the feed ends, and its numbers mean nothing any more.
        await asyncio.sleep(feed.LINGER + 2 * feed.KEEP_ALIVE)
        async with http.stream("GET", path, headers={"last-event-id": event["id"]}) as answer:
            first = await anext(aiter(read(answer)))
        assert (first["type"], first["missed"]) == ("gap", None)


async def test_a_slow_listener_is_told_and_let_go() -> None:
    async with running() as gateway:
        call = await gateway.open_call(wire="websocket", model="play", grant=ANYONE)
        feeds = Feeds()
        slow = feeds.listen(call)
        await anext(slow)
        for number in range(feed.QUEUE + 50):
            call.engine._bus.publish(SystemWarning(code=str(number)))
        got = [block async for block in slow]
        assert b"event: lagged" in got[-1]
        assert len(got) == feed.QUEUE + 1
        with pytest.raises(StopAsyncIteration):
            await anext(slow)
        await call.end()


async def test_what_is_lost_for_good_is_told() -> None:
    async with running() as gateway:
        call = await gateway.open_call(wire="websocket", model="play", grant=ANYONE)
        feeds = Feeds()
        stream = feeds.listen(call)
        await anext(stream)  # how soon to come back
        call.engine._bus.publish(SystemWarning(code="first"))
        first = parsed((await anext(stream)).decode())
        for number in range(feed.KEEP + 9):
            call.engine._bus.publish(SystemWarning(code=str(number)))
        again = feeds.listen(call, first["id"])
        await anext(again)
        gap = parsed((await anext(again)).decode())
        assert (gap["type"], gap["missed"]) == ("gap", 9)
        assert parsed((await anext(again)).decode())["data"]["code"] == "9"
        for odd in ("", "x", "00000000-1", first["id"] + "0" * 40):
            other = feeds.listen(call, odd)
            await anext(other)
            assert parsed((await anext(other)).decode())["missed"] is None
            await other.aclose()  # type: ignore[attr-defined]
        await call.end()
        for left in (stream, again):
            await left.aclose()  # type: ignore[attr-defined]


async def test_it_gives_a_sign_of_life_when_nothing_happens() -> None:
    async with running() as gateway:
        call = await gateway.open_call(wire="websocket", model="play", grant=ANYONE)
        stream = Feeds().listen(call)
        await anext(stream)
        began = asyncio.get_running_loop().time()
        assert (await anext(stream)).startswith(b":")
        assert asyncio.get_running_loop().time() - began == pytest.approx(feed.KEEP_ALIVE, abs=0.1)
        await stream.aclose()  # type: ignore[attr-defined]
        await call.end()


async def test_there_are_only_so_many_listeners() -> None:
    async with running() as gateway:
        call = await gateway.open_call(wire="websocket", model="play", grant=ANYONE)
        feeds = Feeds()
        streams = [feeds.listen(call) for _ in range(feed.MAX_LISTENERS)]
        for stream in streams:
            await anext(stream)
        with pytest.raises(Refused) as refused:
            feeds.listen(call)
        assert (refused.value.status, refused.value.code) == (429, "too_many_listeners")
        await streams[0].aclose()  # type: ignore[attr-defined]
        feeds.listen(call)
        await call.end()
        for stream in streams[1:]:
            async for _ in stream:
                pass
        with pytest.raises(Refused) as refused:
            feeds.listen(call)
        assert refused.value.code == "call_is_over"


async def test_secrets_and_odd_values_do_not_get_in() -> None:
    async with running() as gateway:
        call = await gateway.open_call(wire="websocket", model="play", grant=ANYONE)
        feeds = Feeds()
        stream = feeds.listen(call)
        await anext(stream)
        call.engine._bus.publish(
            ErrorGeneral(
                exception=ValueError("lone \ud800"),
                error="lone \ud800",
                code="odd",
                session_id="sess_vendor",
                data={"api_key": "sk-secret", "audio": b"\0" * 10, "when": float("nan")},
            )
        )
        text = (await anext(stream)).decode()
        event = parsed(text)
        assert event["data"]["code"] == "odd"
        assert event["data"]["api_key"] == "***"
        for absent in ("sk-secret", "sess_vendor", "audio"):
            assert absent not in text
        await call.end()
        assert [block async for block in stream][-1].startswith(b"id: ")


async def test_a_call_that_is_over_has_none(doors: Doors, tmp_path: Path) -> None:
    async with house(tmp_path) as there, there.client(doors.key(scopes=["observe"])) as http:
        call = await there.call()
        await call.end()
        answer = await http.get(f"/v1/calls/{call.id}/events")
        assert code_of(answer) == (404, "call_not_found")
