"""Calls in which much happens at once: what was said and heard is in the log, and the call goes on."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.vendors.call import LONG, Call, call_to
from voxengine import events as ev
from voxengine.testing.emulators.faults import Lag

TURNS = 8


async def something_happens(call: Call, chance: random.Random) -> None:
    """One of the things that go wrong, or that people do."""
    kind = chance.choice(("close", "kill", "outage", "interrupt", "text", "tool", "note", "none"))
    await asyncio.sleep(chance.uniform(0.0, 3.0))
    match kind:
        case "close":
            call.session.close(1011, "upstream")
        case "kill":
            call.session.close(1006)
        case "outage":
            await call.emulator.kill()
            await asyncio.sleep(chance.uniform(0.1, 3.0))
            await call.emulator.start()
        case "interrupt":
            await call.engine.interrupt()
        case "text":
            await call.engine.send_text(f"text {chance.randrange(10**6)}")
        case "tool":
            await call.engine.send_text("look it up")
        case "note":
            await call.engine.send_text("a note", role="system")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dialect", ["openai", "xai"])
async def test_whatever_happens_the_call_goes_on(dialect: str, seed: int):
    chance = random.Random(seed)
    random.seed(seed)  # the pauses between attempts to reconnect are cut by chance, too
    faults = [Lag(chance.choice((0.0, 0.1, 0.4)), after_s=0.0, times=0)]
    settings = {
        # What is written down only after its answer can be lost with the connection: test_openai_losses has that.
        "transcript_delay_ms": chance.choice((0, 20)),
        "pace": chance.choice((2.0, 5.0, 50.0)),
        "latency_ms": chance.choice((50, 400, 1500)),
    }
    said: list[str] = []
    async with call_to(
        dialect, faults=faults, vendor_settings=settings, reconnect_timeout=60.0
    ) as call:
        call.tool_seconds = chance.choice((0.1, 1.0, 3.0))
        for turn in range(TURNS):
            words = f"turn {turn} of number {seed}"
            if chance.random() < 0.3:
                words = f"please say {LONG}" if chance.random() < 0.5 else "look it up"
            said.append(words)
            happening = asyncio.create_task(something_happens(call, chance))
            await call.speak(words)
            if chance.random() < 0.6:
                await asyncio.sleep(chance.uniform(0.6, 4.0))
            else:
                await call.quiet(150)
            await happening
        await call.quiet(150)
        await asyncio.sleep(3)
        await call.quiet(150)
        users = " ".join(text for role, text in call.log if role == "user").split()
        spoken = " ".join(said).split()
        # Every word that was spoken was understood, once and in its order, whatever was typed in between.
        assert is_within(spoken, users), (said, call.log)
        assert not [e for e in call.of(ev.ErrorGeneral) if not e.recoverable]
        call.check()
        assert await call.ask("are you there") == "You said: are you there"


def is_within(words: list[str], all_words: list[str]) -> bool:
    """Whether `words` are in `all_words`, in their order."""
    left = iter(all_words)
    return all(word in left for word in words)
