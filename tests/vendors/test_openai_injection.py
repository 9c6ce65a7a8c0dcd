"""Notes at an emulated vendor: what it was sent is right by its own types, and what it then says and does not say."""

from __future__ import annotations

import asyncio

import pytest

from tests.vendors.call import DIALECTS, LONG, Call, call_to, drop, until
from voxengine import events as ev

each_dialect = pytest.mark.parametrize("dialect", DIALECTS)


def texts(call: Call) -> list[tuple[str | None, str]]:
    session = call.session
    return [(item.role, item.text) for item in session.items]


@each_dialect
async def test_notes_in_a_spoken_call(dialect: str):
    async with call_to(dialect) as call:
        first = await call.engine.inject("the caller is Ada")
        next_turn = call.engine.inject("be brief", when="next_turn")
        assert await call.ask("good morning") == "You said: good morning"
        assert first.status == "applied"
        assert (next_turn.status, next_turn.degraded_to) == ("degraded", "before_turn")
        assert [role for role, _ in texts(call)] == ["system", "system", "user", "assistant"]
        assert len(call.of(ev.ResponseStarted)) == 1
        call.check()
        call.check_vendor()


@each_dialect
async def test_the_assistant_speaks_when_its_turn_has_come(dialect: str):
    async with call_to(dialect) as call:
        await call.speak("tell me more")
        await call.wait(ev.AudioOutputStarted)
        during = call.engine.inject("mention the sale", speak=True)
        assert (await during.result(5)).status == "applied"
        said = call.engine.inject("goodbye then", role="assistant", speak=True)
        await call.quiet()
        assert said.status == ("applied" if call.engine.provider.capabilities.say else "degraded")  # type: ignore[union-attr]
        assert call.ear.words().startswith(LONG)
        assert len(call.of(ev.ResponseStarted)) == 3
        assert call.session.received.count("response.cancel") == 0
        call.check()
        call.check_vendor()


async def test_silence_is_broken_once():
    async with call_to() as call:
        note = call.engine.inject("ask who is there", when="on_silence", silence_s=4, speak=True)
        await asyncio.sleep(3.5)
        assert note.status == "queued"
        assert not call.of(ev.ResponseStarted)
        await asyncio.sleep(20)
        assert len(call.of(ev.ResponseStarted)) == 1
        call.check()
        call.check_vendor()


async def test_after_a_lost_connection_the_vendor_knows_every_note_once():
    async with call_to() as call:
        await call.engine.inject("first")
        waiting = call.engine.inject("third", when="before_response")
        drop(call)
        await call.wait(ev.ConnectionLost)
        second = call.engine.inject("second")
        assert (await second.result(20)).status == "applied"
        await until(lambda: len(call.emulator.sessions) == 2)
        assert await call.ask("are you there") == "You said: are you there"
        assert waiting.status == "applied"
        told = [text for role, text in texts(call) if role == "system"]
        assert told == ["first", "second", "third"]
        call.check()
        call.check_vendor()
