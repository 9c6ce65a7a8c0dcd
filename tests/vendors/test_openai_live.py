"""Whole calls to OpenAI Live, a model that has no turns and no commands, as an application sees them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.vendors.call import ANSWERS, LONG, Call
from voxengine import events as ev
from voxengine.testing.emulators.faults import Drop, Expire
from voxengine.testing.emulators.openai_live import LiveEmulator


@asynccontextmanager
async def live(
    *, responses: Any = None, faults: Any = (), settings: Any = None, **config: Any
) -> AsyncIterator[Call]:
    answers = ANSWERS if responses is None else responses
    async with (
        LiveEmulator(answers, faults=faults, **(settings or {})) as emulator,
        Call(emulator, provider="openai-live", **config) as call,
    ):
        yield call
        assert emulator.judge.violations == []


async def test_a_turn_is_heard_and_answered_aloud():
    async with live() as call:
        assert await call.ask("good morning") == "You said: good morning"
        assert call.log == [("user", "good morning"), ("assistant", "You said: good morning")]
        assert await call.ask("and again") == "You said: and again"
        call.check()
        assert call.of(ev.ErrorGeneral) == []


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
async def test_at_another_rate(rate: int):
    async with live(input_format=rate, output_format=rate) as call:
        assert await call.ask("good morning") == "You said: good morning"
        call.check()


async def test_the_user_interrupts():
    async with live() as call:
        await call.speak("tell me more")
        await call.wait(ev.AudioOutputStarted)
        await asyncio.sleep(3)
        await call.speak("stop please")
        await call.quiet()
        assert call.log[-1] == ("assistant", "You said: stop please")
        heard = call.ear.words().removesuffix("You said: stop please").strip()
        assert LONG.startswith(heard)
        assert 5 <= len(heard.split()) <= 15
        call.check()


async def test_a_task_is_handed_over_and_its_result_is_spoken():
    answers = {"look it up": {"tool": "any", "then": "found {output}"}}
    async with live(responses=answers) as call:
        tasks: list[str] = []

        async def delegate(task: str) -> str:
            """Do something."""
            tasks.append(task)
            await asyncio.sleep(1)
            return "it"

        call.engine.tool(delegate)
        assert await call.ask("look it up") == "found it"
        assert tasks == ["look it up"]
        call.check()


@pytest.mark.parametrize("fault", [Drop(close_code=1011, after_s=7), Expire(after_s=7)])
async def test_a_connection_that_is_lost(fault: Any):
    async with live(faults=fault) as call:
        await call.ask("good morning")
        await call.wait(ev.ConnectionRestored)
        told = call.emulator.session.config["input"]
        assert [message["role"] for message in told] == ["user", "assistant"]
        assert await call.ask("and again") == "You said: and again"
        assert call.log[-2:] == [("user", "and again"), ("assistant", "You said: and again")]


async def test_the_length_of_the_session_is_paid():
    async with live(settings={"usage_every_s": 1.0}) as call:
        await call.ask("good morning")
        await asyncio.sleep(30)
        used = await call.engine.get_usage()
        seconds = asyncio.get_running_loop().time()
        assert used["input_audio_seconds"] == pytest.approx(seconds, abs=2)
        assert used["cost"] == pytest.approx(used["input_audio_seconds"] * 3 / 3600, rel=1e-3)
