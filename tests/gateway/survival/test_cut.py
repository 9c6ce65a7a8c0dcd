"""A client whose network is cut takes up the same live call: the engine goes on, and nothing of the talk is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.emulators.wire import WEATHER
from tests.gateway.gateways import until
from tests.gateway.survival.callers import TEXT, Caller, calling, words_of
from tests.gateway.test_serving import Served, served
from voxengine.testing.emulators.openai import OpenAIEmulator

pytestmark = pytest.mark.real_clock

LONG = " ".join(f"word{n}" for n in range(60))
SCRIPT = {
    "*long*": LONG,
    "*weather*": {"tool": {"name": "weather", "arguments": {"city": "Oslo"}}},
}


@asynccontextmanager
async def gateway(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Served, OpenAIEmulator]]:
    """A gateway in front of one vendor."""
    monkeypatch.setenv("VENDOR_KEY", "sk-emulated")
    async with OpenAIEmulator(responses=SCRIPT, latency_ms=20, pace=2) as vendor:
        content = {
            "providers": {
                "vendor": {
                    "provider": "openai",
                    "api_key_env": "VENDOR_KEY",
                    "endpoint": vendor.endpoint,
                }
            },
            "routes": {"play": {"providers": ["vendor"]}},
        }
        async with served(content=content) as server:
            yield server, vendor


@asynccontextmanager
async def back(server: Served, before: Caller) -> AsyncIterator[Caller]:
    """The same client by another connection, in the same call."""
    call = server.gateway.calls.by_session(before.session_id)
    assert call is not None
    await until(lambda: not call.attached)
    query = f"resume={before.session_id}"
    async with calling(server.front.port, query, before=before) as caller:
        assert server.gateway.calls.by_session(caller.session_id) is call
        assert caller.instructions == before.instructions
        yield caller


async def test_in_the_middle_of_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async with gateway(monkeypatch) as (server, vendor):
        async with calling(server.front.port) as caller:
            await caller.update(instructions="Be kind.")
            first = await caller.write("something long")
            await caller.send("response.create")
            begun = (await caller.told("conversation.item.added", 2))["item"]["id"]
            await caller.told("response.output_audio.delta", 3)
            await caller.cut()
        async with back(server, caller) as caller:
            found = await caller.ask(
                "conversation.item.retrieve", "conversation.item.retrieved", item_id=first
            )
            assert words_of(found["item"]) == "something long"
            # The answer was cut where its listener was lost.
            cut = await caller.ask(
                "conversation.item.retrieve", "conversation.item.retrieved", item_id=begun
            )
            assert cut["item"]["status"] == "incomplete"
            assert LONG.startswith(words_of(cut["item"]))
            assert len(words_of(cut["item"])) < len(LONG)
            await caller.update(**TEXT)
            await caller.write("And now?")
            answer = await caller.answer()
            assert words_of(answer["output"][0]) == "You said: And now?"
            assert len(vendor.sessions) == 1


async def test_while_a_tool_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async with gateway(monkeypatch) as (server, vendor):
        async with calling(server.front.port) as caller:
            await caller.update(tools=[WEATHER], **TEXT)
            await caller.write("the weather")
            answer = await caller.answer()
            await caller.cut()
        async with back(server, caller) as caller:
            await caller.give_output(answer["output"][0]["call_id"], "It rains.")
            again = await caller.answer()
            assert words_of(again["output"][0]) == "The result is It rains.."
            assert len(vendor.sessions) == 1


async def test_while_the_user_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    async with gateway(monkeypatch) as (server, vendor):
        async with calling(server.front.port) as caller:
            await caller.update(audio={"input": {"transcription": {"model": "whisper-1"}}})
            await caller.say("Half a sent", pause_ms=0)
            await caller.told("input_audio_buffer.speech_started")
            await caller.cut()
        async with back(server, caller) as caller:
            await caller.say("All of it")
            heard = await caller.told("conversation.item.input_audio_transcription.completed")
            assert heard["transcript"].endswith("All of it")
            assert (await caller.told("response.done"))["response"]["status"] == "completed"
            assert len(vendor.sessions) == 1


async def test_an_item_that_may_have_arrived_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with gateway(monkeypatch) as (server, vendor):
        content = [{"type": "input_text", "text": "Once"}]
        item = {"type": "message", "role": "user", "content": content, "id": "item_mine"}
        async with calling(server.front.port) as caller:
            await caller.send("conversation.item.create", item=item)
            await caller.told("conversation.item.added")
            await caller.cut()
        async with back(server, caller) as caller:
            error = await caller.ask("conversation.item.create", "error", item=item)
            assert error["error"]["code"] == "item_already_exists"
            texts = [each.text for each in vendor.sessions[0].conversation.items]
            assert texts == ["Once"]
