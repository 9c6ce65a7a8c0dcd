"""What a vendor settles when a conversation begins may change all the same: another connection begins with it."""

from __future__ import annotations

import asyncio

import pytest

from tests.vendors.call import Call
from tests.vendors.vendors import NAMES, knows, need, ringing, running
from voxengine import UnsupportedFeatureError
from voxengine import events as ev
from voxengine.providers.registry import get_provider


@pytest.mark.parametrize("name", NAMES)
async def test_other_instructions_in_mid_call(name: str):
    need(name)
    can = get_provider(name).capabilities  # type: ignore[union-attr]
    async with running(name) as emulator, ringing(name, emulator) as call:
        assert await call.ask("good morning") == "You said: good morning"
        sessions = len(emulator.sessions)
        await call.engine.update_session(instructions="Be brief and kind.")
        if not can.instructions_updatable:
            assert len(emulator.sessions) == sessions + 1
        assert await call.ask("and again") == "You said: and again"
        known = knows(name, emulator, call)
        assert "Be brief and kind." in known
        assert "good morning" in known
        assert call.log == [
            ("user", "good morning"),
            ("assistant", "You said: good morning"),
            ("user", "and again"),
            ("assistant", "You said: and again"),
        ]
        assert call.of(ev.ErrorGeneral) == []
        assert call.of(ev.ConnectionLost) == []
        call.check()


@pytest.mark.parametrize("name", NAMES)
async def test_other_tools_in_mid_call(name: str):
    need(name)
    if name == "openai-live":
        pytest.skip("it has one tool: to hand a task over")
    looked: list[str] = []
    async with running(name) as emulator, ringing(name, emulator) as call:
        assert await call.ask("good morning") == "You said: good morning"
        await _offer(call, looked)
        assert await call.ask("look it up") == "found it"
        assert looked == ["it"]
        assert call.of(ev.ConnectionLost) == []
        call.check()


async def _offer(call: Call, looked: list[str]) -> None:
    from voxengine import Tool

    async def look(what: str = "it") -> str:
        """Look something up elsewhere."""
        looked.append(what)
        await asyncio.sleep(0.5)
        return what

    await call.engine.set_tools([Tool(look)])


async def test_what_it_has_not_at_all_is_still_an_error():
    async with running("openai-live") as emulator, ringing("openai-live", emulator) as call:
        with pytest.raises(UnsupportedFeatureError):
            await call.engine.update_session(modalities=["text"])
