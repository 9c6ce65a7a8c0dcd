"""A tool whose result wants no answer: whoever would go on unasked is told it when an answer is asked for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.vendors.call import Call
from tests.vendors.vendors import NAMES, need, ringing, running
from voxengine import Tool
from voxengine import events as ev
from voxengine.providers.registry import get_provider

#: What a full-duplex model calls is a task that it hands over, and by another name.
EAGER = [
    name
    for name in NAMES
    if name != "openai-live" and get_provider(name).capabilities.continues_after_tool  # type: ignore[union-attr]
]
every = pytest.mark.parametrize("name", EAGER)


async def called(call: Call) -> None:
    """The tool has been called, and has returned some time ago."""

    async def look(what: str = "it") -> str:
        """Look something up."""
        return what

    await call.engine.set_tools([Tool(look, responds=False)])
    await call.speak("look it up")
    await call.wait(ev.FunctionCompleted)
    await asyncio.sleep(5)
    assert "found" not in call.ear.words()


def said(call: Call) -> list[str]:
    return [text for role, text in call.log if role == "assistant" and text]


@every
async def test_it_is_answered_when_that_is_asked_for(name: str):
    need(name)
    async with running(name) as emulator, ringing(name, emulator) as call:
        await called(call)
        await call.engine.create_response()
        await call.quiet()
        assert said(call)[-1] == "found it"
        assert call.of(ev.ErrorGeneral) == []
        call.check()


@every
async def test_the_user_speaks_first(name: str):
    need(name)
    async with running(name) as emulator, ringing(name, emulator) as call:
        await called(call)
        assert await call.ask("good morning") != ""
        assert said(call)[-1] in ("You said: good morning", "found it")
        results: Any = [i for i in call.engine.conversation if i.kind == "function_output"]
        assert [i.output for i in results] == ["it"]
        assert call.of(ev.ErrorGeneral) == []
        call.check()
