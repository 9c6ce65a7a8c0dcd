"""Going over to another connection before the vendor ends the present one, and xAI's way to resume one."""

from __future__ import annotations

import asyncio

import pytest

from tests.vendors.call import Call, Wire, call_to, drop, goes_on, now, until
from voxengine import events as ev
from voxengine.testing.emulators.faults import Drop

each_wire = pytest.mark.parametrize("dialect", ["openai", "xai"])
TEN = " ".join(f"w{n}" for n in range(10, 20))


# -- going over before it would be lost


@each_wire
async def test_it_goes_over_in_a_quiet_moment_before_the_hour(dialect: str):
    wire = Wire()
    async with call_to(dialect, vendor_settings={"on_event": wire}, microphone=False) as call:
        await call.engine.send_text("good morning")
        await call.quiet()
        limit = call.engine.provider.capabilities.max_connection_seconds  # type: ignore[union-attr]
        assert limit is not None
        await asyncio.sleep(limit - 300 - now() - 5)
        assert len(call.emulator.sessions) == 1
        await asyncio.sleep(10)
        await until(lambda: len(call.of(ev.ConnectionRestored)) == 1)
        restored = call.of(ev.ConnectionRestored)[0]
        assert (restored.reason, restored.outage_ms) == ("rotation", 0)
        await asyncio.sleep(600)
        assert call.of(ev.ConnectionLost) == []
        first, second = call.emulator.sessions
        assert first.closed
        assert [(i.role, i.text) for i in second.items] == [
            ("user", "good morning"),
            ("assistant", "You said: good morning"),
        ]
        await call.engine.send_text("in writing")
        await call.quiet()
        assert call.ear.words() == "You said: good morning You said: in writing"
        call.check()
        call.check_vendor()


async def chatter(call: Call, seconds: float) -> list[str]:
    """Speak again as soon as the answer is there, so that it is never quiet; what was said."""
    said: list[str] = []
    end = now() + seconds
    while now() < end:
        words = f"turn {len(said)} of mine"
        said.append(words)
        done = len(call.of(ev.ResponseCompleted))
        await call.speak(words)
        await call.wait(ev.ResponseCompleted, done + 1)
        await asyncio.sleep(0.1)
    return said


@pytest.mark.slow
@each_wire
async def test_it_goes_over_although_it_is_never_quiet(
    dialect: str, monkeypatch: pytest.MonkeyPatch
):
    from msgspec.structs import replace

    from voxengine.providers.openai.dialects import DIALECTS
    from voxengine.providers.openai.provider import OpenAIProvider, XAIProvider

    row = DIALECTS[dialect]
    short = replace(row, capabilities=replace(row.capabilities, max_connection_seconds=60))
    cls = {"openai": OpenAIProvider, "xai": XAIProvider}[dialect]
    monkeypatch.setattr(cls, "dialect", short)
    async with call_to(dialect) as call:
        said = await chatter(call, 100)
        await call.quiet()
        restored = call.of(ev.ConnectionRestored)
        assert [e.reason for e in restored] == ["rotation"] * len(restored)
        assert restored
        assert call.of(ev.ConnectionLost) == []
        users = [text for role, text in call.log if role == "user"]
        assert users == said
        heard = call.ear.words()
        for words in said:
            assert heard.count(words) <= 1
        assert call.of(ev.ErrorGeneral) == []
        call.check()


# -- xAI keeps the conversation


async def test_a_conversation_that_the_vendor_keeps_is_not_told_again():
    wire = Wire()
    async with call_to("xai", vendor_settings={"on_event": wire}) as call:
        await call.ask("good morning")
        await call.ask("look it up")
        before = call.engine.conversation.as_dict()["items"]
        items = len(call.session.items)
        drop(call)
        restored = await call.wait(ev.ConnectionRestored)
        assert (restored.resumed, restored.items) == (True, 0)
        assert call.session.conversation is call.emulator.sessions[0].conversation
        assert "conversation.item.create" not in call.session.received
        assert wire.types(1).count("conversation.item.added") == items  # it told us all of it
        assert call.engine.conversation.as_dict()["items"] == before
        await goes_on(call)


async def test_a_conversation_that_the_vendor_has_forgotten_is_told():
    async with call_to("xai") as call:
        await call.ask("good morning")
        call.emulator.conversations.clear()
        drop(call)
        restored = await call.wait(ev.ConnectionRestored)
        assert (restored.resumed, restored.items) == (False, 2)
        assert [(i.role, i.text) for i in call.session.items] == [
            ("user", "good morning"),
            ("assistant", "You said: good morning"),
        ]
        await goes_on(call)


async def test_a_vendor_that_does_not_know_the_conversation_hangs_up():
    """The attempt to resume is refused; the conversation is then told to a new one."""
    async with call_to("xai", faults=Drop(close_code=1011, connect=2)) as call:
        await call.ask("good morning")
        drop(call)
        await call.wait(ev.ConnectionRestored)
        await goes_on(call)
        assert call.log[:2] == [("user", "good morning"), ("assistant", "You said: good morning")]


async def test_a_lost_connection_to_one_that_resumes_in_mid_answer():
    async with call_to("xai") as call:
        await call.speak(f"please say {TEN}")
        await call.wait(ev.AudioOutputStarted)
        await asyncio.sleep(0.5)
        drop(call)
        await call.quiet()
        assert call.answers[-1].text == TEN
        users = [text for role, text in call.log if role == "user"]
        assert users == [f"please say {TEN}"]
        assert [i.role for i in call.session.items].count("user") <= 2
        await goes_on(call)
