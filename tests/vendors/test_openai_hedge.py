"""Two emulated vendors hear the same caller, and the first to answer speaks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.vendors.call import KEY, LONG, Call, vendor
from voxengine import events as ev
from voxengine.testing.emulators.openai import OpenAIEmulator


def known(emulator: OpenAIEmulator) -> list[tuple[str | None, str]]:
    """What its latest session knows of the conversation."""
    return [(i.role, i.words) for i in emulator.sessions[-1].items if i.type == "message"]


def hedged(first: OpenAIEmulator, second: OpenAIEmulator) -> Call:
    name = second.dialect.name
    hedge = {"provider": name, "api_key": KEY, "metadata": second.metadata}
    return Call(first, hedge=hedge)


def slow_at(*numbers: int) -> dict[str, Any]:
    """Answers, of which some take a second and a half longer."""
    return {
        f"this is number {n}": {"text": f"it is {n}", "delay_ms": 1500 if n in numbers else 0}
        for n in range(4)
    }


@pytest.mark.parametrize("second", ["azure", "xai"])
async def test_they_answer_in_turns(second: str) -> None:
    async with (
        vendor("openai", slow_at(1, 3)) as one,
        vendor(second, slow_at(0, 2)) as other,
        hedged(one, other) as call,
    ):
        await call.quiet()
        said: list[tuple[str | None, str]] = []
        for n in range(4):
            words, answer = f"this is number {n}", f"it is {n}"
            assert await call.ask(words) == answer
            said += [("user", words), ("assistant", answer)]
        assert call.log == said
        assert known(one) == known(other) == said
        assert [i.provider for i in call.answers] == ["openai", second, "openai", second]
        assert [e.reason for e in call.of(ev.ProviderSwitched)] == ["hedge"] * 3
        assert call.of(ev.ErrorGeneral) == []
        assert len(call.of(ev.TurnDetected)) == len(call.of(ev.TranscriptCompleted)) == 4
        call.check()
        legs = {leg["provider"]: leg for leg in (await call.engine.get_usage())["legs"]}
        assert set(legs) == {"openai", second}
        assert [emulator.sessions[-1].refused for emulator in (one, other)] == [[], []]


@pytest.mark.parametrize("quick", ["openai", "azure"])
async def test_barge_in(quick: str) -> None:
    answers = {"tell me more": {"text": LONG}}
    late = {"tell me more": {"text": LONG, "delay_ms": 1500}}
    order = (answers, late) if quick == "openai" else (late, answers)
    async with (
        vendor("openai", order[0]) as one,
        vendor("azure", order[1]) as other,
        hedged(one, other) as call,
    ):
        await call.quiet()
        await call.speak("tell me more")
        await call.wait(ev.AudioOutputStarted)
        assert call.engine.config.provider == quick
        await asyncio.sleep(2)
        await call.speak("good morning")
        await call.quiet()
        assert call.log[2:] == [("user", "good morning"), ("assistant", "You said: good morning")]
        heard = call.answers[0].text
        assert 3 <= len(heard.split()) <= 12
        assert call.log[:2] == [("user", "tell me more"), ("assistant", heard)]
        told = known(other if quick == "openai" else one)
        assert told == call.log
        call.check()


async def test_the_one_at_work_is_lost() -> None:
    async with vendor("openai") as one, vendor("azure") as other, hedged(one, other) as call:
        await call.quiet()
        assert await call.ask("good morning") == "You said: good morning"
        call.say("good evening")
        await asyncio.sleep(0.4)
        await one.close()
        await call.quiet()
        assert call.log[2:] == [("user", "good evening"), ("assistant", "You said: good evening")]
        assert known(other) == call.log
        assert call.engine.config.provider == "azure"
        assert call.of(ev.ProviderSwitched)[0].reason == "failover"
        call.check()
