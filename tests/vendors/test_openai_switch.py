"""The provider changes in mid-call, between vendors of the family, the mock and OpenAI Live; the conversation stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from tests.vendors.call import ANSWERS, DIALECTS, KEY, Call, vendor
from voxengine import ConnectionError, VoiceEngineConfig
from voxengine import events as ev
from voxengine.testing.emulators.faults import Refuse
from voxengine.testing.emulators.openai import OpenAIEmulator
from voxengine.testing.emulators.openai_live import LiveEmulator


class Vendors:
    """One of each."""

    def __init__(self) -> None:
        self.family: dict[str, OpenAIEmulator] = {}
        self.live: LiveEmulator | None = None

    def config(self, name: str, **settings: Any) -> VoiceEngineConfig:
        """The configuration that leads to one of them."""
        if name == "mock":
            return VoiceEngineConfig(provider="mock", metadata={"mock_responses": ANSWERS})
        if name == "openai-live":
            assert self.live is not None
            metadata = self.live.metadata
        else:
            metadata = self.family[name].metadata
        return VoiceEngineConfig(provider=name, api_key=KEY, metadata=metadata, **settings)

    def told(self, name: str) -> list[tuple[str | None, str]]:
        """What the latest session of a vendor knows of the conversation."""
        if name == "openai-live":
            assert self.live is not None
            items = (self.live.session.config or {}).get("input") or []
            return [(item["role"], item["content"][0]["text"]) for item in items]
        items = self.family[name].sessions[-1].items
        return [(i.role, i.words) for i in items if i.type == "message"]


@asynccontextmanager
async def vendors() -> AsyncIterator[Vendors]:
    found = Vendors()
    async with AsyncExitStack() as stack:
        for name in DIALECTS:
            found.family[name] = await stack.enter_async_context(vendor(name))
        found.live = await stack.enter_async_context(LiveEmulator(ANSWERS))
        yield found


async def go(call: Call, all: Vendors, name: str) -> None:
    await call.engine.switch_provider(name, all.config(name))
    assert call.engine.config.provider == name


TOUR = ("azure", "mock", "xai", "openai-live", "custom", "openai")


async def test_a_tour_of_all_of_them():
    async with vendors() as all, Call(all.family["openai"]) as call:
        said: list[tuple[str, str]] = []
        for number, name in enumerate(("openai", *TOUR)):
            if number:
                await go(call, all, name)
            words = f"this is number {number}"
            answer = f"You said: {words}"
            assert await call.ask(words) == answer, name
            said += [("user", words), ("assistant", answer)]
            assert call.log == said, name
            if name in DIALECTS:
                assert all.told(name) == said, name
        assert call.of(ev.ErrorGeneral) == []
        assert call.of(ev.ConnectionLost) == []
        providers = [i.provider for i in call.engine.conversation.messages if i.role == "assistant"]
        assert providers == ["openai", *TOUR]
        legs = {leg["provider"] for leg in (await call.engine.get_usage())["legs"]}
        assert {"openai", "azure", "xai", "custom", "openai-live"} <= legs


@pytest.mark.parametrize("target", [*DIALECTS, "openai-live"])
async def test_what_was_cut_short_is_told_as_far_as_it_was_heard(target: str):
    async with vendors() as all:
        source = "azure" if target == "openai" else "openai"
        async with Call(all.family[source]) as call:
            await call.speak("tell me more")
            await call.wait(ev.AudioOutputStarted)
            await asyncio.sleep(3)
            await call.engine.interrupt()
            await call.quiet()
            await go(call, all, target)
            heard = call.answers[0].text
            assert 5 <= len(heard.split()) <= 9
            assert all.told(target) == [("user", "tell me more"), ("assistant", heard)]
            assert await call.ask("good morning") == "You said: good morning"


@pytest.mark.parametrize("target", ["azure", "xai", "custom"])
async def test_calls_of_tools_are_told(target: str):
    async with vendors() as all, Call(all.family["openai"]) as call:
        await call.ask("look it up")
        await go(call, all, target)
        items = all.family[target].sessions[-1].items
        kinds = [i.type for i in items]
        assert kinds == ["message", "function_call", "function_call_output", "message"]
        assert await call.ask("look it up") == "found it"
        assert call.looked == ["it", "it"]
        assert all.family[target].sessions[-1].refused == []


@pytest.mark.parametrize("target", ["azure", "xai", "mock"])
async def test_in_the_middle_of_an_answer(target: str):
    async with vendors() as all, Call(all.family["openai"]) as call:
        await call.speak("tell me more")
        await call.wait(ev.AudioOutputStarted)
        await asyncio.sleep(2)
        await go(call, all, target)
        await call.quiet()
        assert len(call.of(ev.ConversationInterrupted)) == 1
        heard = call.ear.words()
        assert len(heard.split()) <= 8
        assert await call.ask("good morning") == "You said: good morning"
        assert call.log[1] == ("assistant", call.answers[0].text)
        call.check()
        assert all.family["openai"].sessions[0].closed


async def test_another_that_cannot_be_opened_changes_nothing():
    async with (
        vendor("openai") as first,
        vendor("azure", faults=Refuse("server_error")) as second,
        Call(first) as call,
    ):
        await call.ask("good morning")
        config = VoiceEngineConfig(provider="azure", api_key=KEY, metadata=second.metadata)
        with pytest.raises(ConnectionError):
            await call.engine.switch_provider("azure", config)
        assert call.engine.config.provider == "openai"
        assert await call.ask("and again") == "You said: and again"
        call.check()
        await call.engine.switch_provider("azure", config)
        assert await call.ask("good evening") == "You said: good evening"


@pytest.mark.parametrize("target", ["azure", "xai", "custom", "mock"])
async def test_another_takes_over_from_one_that_is_lost(target: str):
    async with vendors() as all, Call(all.family["openai"]) as call:
        await call.ask("good morning")
        seconds = call.say("my order is number seventeen")
        await asyncio.sleep(seconds / 2)
        await all.family["openai"].kill()
        await call.wait(ev.ConnectionLost)
        await go(call, all, target)
        await call.quiet()
        restored = call.of(ev.ConnectionRestored)[0]
        assert restored.reason == "switch"
        assert call.log[-2:] == [
            ("user", "my order is number seventeen"),
            ("assistant", "You said: my order is number seventeen"),
        ]
        call.check()


async def test_the_settings_of_a_provider_stay_with_it():
    """The key, the model and the voice of one are not shown to another."""
    async with vendors() as all, Call(all.family["openai"], voice="marin") as call:
        await call.engine.switch_provider("azure", all.config("azure", voice="alloy"))
        session = all.family["azure"].sessions[-1]
        assert session.config["audio"]["output"]["voice"] == "alloy"
        assert await call.ask("good morning") == "You said: good morning"


async def test_a_text_while_it_changes():
    async with vendors() as all, Call(all.family["openai"]) as call:
        changing = asyncio.create_task(go(call, all, "azure"))
        await asyncio.sleep(0)
        await call.engine.send_text("in writing")
        await changing
        await call.quiet()
        users = [text for role, text in call.log if role == "user"]
        assert users == ["in writing"]
        assert await call.ask("good morning") == "You said: good morning"
        call.check()
