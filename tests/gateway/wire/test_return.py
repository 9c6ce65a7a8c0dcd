"""A client that comes back, or another in its place, while an answer is under way: it hears the rest of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.gateway.wire.talking import Talker, talking
from tests.gateway.wire.test_providers import talking_to
from tests.gateway.wire.test_settings import TOOL
from voxengine import events as ev

LONG = "one two three four five six seven eight nine ten eleven twelve"


@asynccontextmanager
async def another(client: Talker) -> AsyncIterator[Talker]:
    """Another client of the same call."""
    new = Talker(client.gateway, client.call)
    await new.open()
    yield new
    new.close()
    assert new.wrong == []


def say_hello(client: Talker, **response: Any) -> None:
    part = {"type": "input_text", "text": "hello"}
    client.say(
        "conversation.item.create", item={"type": "message", "role": "user", "content": [part]}
    )
    client.say("response.create", response=response)


@pytest.mark.parametrize("written", [False, True])
async def test_it_is_told_of_the_rest(written: bool):
    setup = {"mock_responses": {"hello": LONG}, "latency_ms": {"chunk": 50}}
    async with talking(setup) as client:
        kind = "text" if written else "audio"
        say_hello(client, metadata={"topic": "it"}, output_modalities=[kind])
        delta = (
            "response.output_text.delta" if written else "response.output_audio_transcript.delta"
        )
        await client.told(delta, 3)
        async with another(client) as new:
            done = (await new.told("response.done"))["response"]
            assert new.types()[0] == "session.created"
            created = new.all("response.created")[0]["response"]
            assert created["status"] == "in_progress"
            assert client.all("response.created")[0]["response"] == created
            assert (done["id"], done["status"]) == (created["id"], "completed")
            assert done["metadata"] == {"topic": "it"}
            part = done["output"][0]["content"][0]
            assert part["text" if written else "transcript"] == LONG
            assert "".join(e["delta"] for e in new.all(delta)) == LONG
            if not written:
                assert len(new.all("response.output_audio.delta")) > 3
            once = ("response.output_item.added", "response.content_part.added")
            assert [len(new.all(each)) for each in once] == [1, 1]
            assert new.types("conversation.item.") == [
                "conversation.item.added",
                "conversation.item.done",
            ]
            assert client.all("response.done") == []
            say_hello(new)
            again = (await new.told("response.done", 2))["response"]
            assert again["metadata"] is None
            assert new.errors == []


async def test_what_was_asked_for_and_has_not_begun_is_what_was_asked_for():
    async with talking_to("openai") as (client, _):
        engine = client.call.engine
        say_hello(client, metadata={"topic": "it"})
        while not engine.responding:  # noqa: ASYNC110 - it is a matter of turns of the loop
            await asyncio.sleep(0)
        assert engine.response_id is None
        async with another(client) as new:
            done = await new.told("response.done")
            assert done["response"]["metadata"] == {"topic": "it"}
            assert client.types("response.") == []


async def test_one_that_is_over_is_not_told_again():
    setup = {"mock_responses": {"hello": LONG}}
    async with talking(setup) as client:
        say_hello(client)
        await client.told("response.done")
        assert client.call.engine.state == "speaking"
        async with another(client) as new:
            await asyncio.sleep(10)
            assert new.types("response.", "conversation.item.added") == []


async def test_its_calls_are_told_to_who_has_to_answer_them():
    tools = [{"name": "weather"}, {"name": "weather", "arguments": {"city": "Ulm"}}]
    setup = {
        "mock_responses": {"hello": {"text": LONG, "tools": tools}},
        "latency_ms": {"chunk": 50},
    }
    async with talking(setup) as client:
        client.update(tools=[TOOL])
        await client.told("session.updated")
        before: list[str] = []
        client.call.engine.on(ev.FunctionInvoked, lambda event: before.append(event.call_id))
        say_hello(client)
        await client.told("response.created")
        async with another(client) as new:
            done = await new.told("response.done")
            calls = new.all("response.function_call_arguments.done")
            assert [e["call_id"] for e in calls] == before
            assert [o["type"] for o in done["response"]["output"]].count("function_call") == 2
