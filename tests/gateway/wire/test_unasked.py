"""`response.create` where the provider answers by itself as soon as it hears the turns that were kept back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.gateway.wire.talking import PCM24, Talker, talking
from tests.gateway.wire.test_input import MANUAL, words
from tests.testing.profiles import PROFILES
from voxengine import events as ev
from voxengine.audio.level import silence
from voxengine.audio.signal import speak
from voxengine.gateway.wire.expected import BUDGET

STREAMS = PROFILES["like a vendor of streams"]


async def turn(client: Talker, text: str = "hello there") -> None:
    """A turn that the provider has not heard."""
    client.update(**MANUAL)
    await client.speak(text, pause_ms=600)
    client.say("input_audio_buffer.commit")
    await client.told("input_audio_buffer.committed")


async def test_what_the_response_is_asked_for_with_is_kept():
    async with talking({"capabilities": {**STREAMS, "text_output": True}}) as client:
        engine = client.call.engine
        client.update(instructions="Be kind.")
        await turn(client)
        at_work: list[Any] = []
        engine.on(
            ev.ResponseStarted,
            lambda _: at_work.append((engine.config.instructions, engine.config.modalities)),
        )
        client.say(
            "response.create",
            response={
                "instructions": "Be brief.",
                "metadata": {"topic": "greeting"},
                "output_modalities": ["text"],
                "max_output_tokens": 77,
            },
        )
        created = await client.told("response.created")
        done = await client.told("response.done")
        await asyncio.sleep(1)

        assert at_work == [("Be brief.", ["text"])]
        for told in (created["response"], done["response"]):
            assert told["metadata"] == {"topic": "greeting"}
            assert told["output_modalities"] == ["text"]
            assert told["max_output_tokens"] == 77
        assert done["response"]["output"][0]["content"][0]["text"] == "You said: hello there"
        assert (engine.config.instructions, engine.config.max_response_tokens) == ("Be kind.", None)
        assert engine.config.modalities != ["text"]

        await turn(client, "again")
        client.say("response.create")
        done = await client.told("response.done", 2)
        assert done["response"]["metadata"] is None
        assert done["response"]["output_modalities"] == ["audio"]
        assert client.errors == []


@pytest.mark.parametrize(
    ("asked", "can", "param"),
    [
        ({"tools": []}, {}, "response.tools"),
        ({"tool_choice": "none"}, {}, "response.tool_choice"),
        (
            {"instructions": "Be brief."},
            {"instructions_updatable": False, "history": "none"},
            "response.instructions",
        ),
    ],
)
async def test_what_cannot_be_done_is_said_before_anything_is_heard(
    asked: dict[str, Any], can: dict[str, Any], param: str
):
    async with talking({"capabilities": {**STREAMS, **can}}) as client:
        await turn(client)
        client.say("response.create", response=asked, event_id="mine")
        told = await client.told("error")
        assert told["error"]["code"] == "unsupported_parameter"
        assert (told["error"]["param"], told["error"]["event_id"]) == (param, "mine")
        await asyncio.sleep(10)
        assert client.types("response.") == []
        client.say("response.create")
        done = await client.told("response.done")
        assert done["response"]["status"] == "completed"
        assert words(client) == "hello there"


#: Who settles what it is told to be when a connection begins.
SETTLED = {**STREAMS, "instructions_updatable": False}


async def test_what_is_settled_at_the_start_is_had_by_another_connection():
    setup = {"capabilities": SETTLED, "mock_responses": {"Be brief.": "Yes"}}
    async with talking(setup) as client:
        engine = client.call.engine
        await turn(client)
        first = engine.provider
        at_work: list[Any] = []
        engine.on(
            ev.ResponseStarted,
            lambda _: at_work.append((engine.provider, engine.provider.config.instructions)),  # type: ignore[union-attr]
        )
        client.say("response.create", response={"instructions": "Be brief."})
        done = await client.told("response.done")
        assert done["response"]["status"] == "completed"
        assert words(client) == "hello there"
        assert [told for _, told in at_work] == ["Be brief."]
        assert at_work[0][0] is not first
        await asyncio.sleep(10)
        assert engine.provider.config.instructions is None  # type: ignore[union-attr]
        assert client.errors == []


async def test_not_while_something_is_being_said():
    setup = {"capabilities": SETTLED, "mock_responses": {"tell me more": "Yes " * 40}}
    async with talking(setup) as client:
        await turn(client, "tell me more")
        client.say("response.create")
        await client.told("response.done")
        assert client.call.engine.state == "speaking"
        client.append(speak("hello", PCM24))
        client.say("input_audio_buffer.commit")
        client.say("response.create", response={"instructions": "Be brief."})
        assert (await client.told("error"))["error"]["param"] == "response.instructions"
        client.say("response.create")
        assert (await client.told("response.done", 2))["response"]["status"] == "completed"


async def test_it_is_asked_for_once():
    async with talking({"capabilities": STREAMS}) as client:
        await turn(client)
        client.say("response.create", response={"metadata": {"n": "1"}})
        client.say("response.create", response={"metadata": {"n": "2"}})
        done = await client.told("response.done")
        assert done["response"]["metadata"] == {"n": "1"}
        assert [e["code"] for e in client.errors] == ["conversation_already_has_active_response"]


async def test_one_that_does_not_come_has_failed():
    async with talking({"capabilities": STREAMS}) as client:
        client.update(**MANUAL)
        client.append(silence(500, PCM24))  # of which no provider makes a turn
        client.say("input_audio_buffer.commit")
        client.say("response.create", response={"metadata": {"n": "1"}, "instructions": "Be kind."})
        done = await client.told("response.done", seconds=BUDGET + 5)
        assert done["response"]["status"] == "failed"
        assert done["response"]["metadata"] == {"n": "1"}
        await asyncio.sleep(1)
        assert client.call.engine.config.instructions is None
        await client.speak("hello", pause_ms=600)
        client.say("input_audio_buffer.commit")
        client.say("response.create")
        assert (await client.told("response.done", 2))["response"]["status"] == "completed"
