"""Connections that the vendor ends after some time are replaced before that, and nobody notices."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.engine.caller import LATENCY, Caller
from voxengine import events as ev
from voxengine import register_provider
from voxengine.providers.mock import Drop, MockProvider, Refuse

#: The vendor ends every connection after a minute: from 40 s on another is opened, from 50 s on without waiting.
MINUTE = {"capabilities": {"max_connection_seconds": 60}}


def now() -> float:
    return asyncio.get_running_loop().time()


def mock(call: Caller) -> MockProvider:
    provider = call.engine.provider
    assert isinstance(provider, MockProvider)
    return provider


async def test_in_a_quiet_moment_another_connection_takes_over() -> None:
    async with Caller(**MINUTE) as call:
        await call.engine.send_text("are you there")
        await call.quiet()
        call.events.clear()
        restored = await call.until(ev.ConnectionRestored, 60)
        assert now() == pytest.approx(40.2, abs=0.1)
        assert (restored.reason, restored.attempts, restored.outage_ms) == ("rotation", 1, 0.0)
        assert (restored.items, restored.audio_ms, restored.audio_lost_ms) == (2, 0.0, 0.0)
        await call.engine.send_text("tell me")
        await call.quiet()
        # Nothing else is heard of it: it has not been lost, nor opened, nor closed.
        assert [str(e.type) for e in call.events if e.type.startswith("connection")] == [
            "connection_restored"
        ]
        old, new = call.providers
        assert not old.is_connected
        assert [m["text"] for m in mock(call).get_message_history()] == [
            "are you there",
            "yes i am",
            "tell me",
            "one two three four five six",
        ]
        assert new is call.engine.provider


async def test_a_long_call_goes_over_again_and_again() -> None:
    async with Caller(**MINUTE) as call:
        for n in range(10):
            await asyncio.sleep(30)
            await call.engine.send_text("are you there")
            await call.quiet()
            assert len(call.engine.conversation) == 2 * n + 2
        assert {e.reason for e in call.of(ev.ConnectionRestored)} == {"rotation"}
        assert len(call.of(ev.ConnectionRestored)) >= 6
        assert not call.of(ev.ConnectionLost)
        assert not call.of(ev.ErrorGeneral)


async def test_the_margin_is_that_of_the_configuration() -> None:
    async with Caller(config={"rotation_margin": 10}, **MINUTE) as call:
        await call.until(ev.ConnectionRestored, 60)
        assert now() == pytest.approx(50.2, abs=0.1)


async def test_it_waits_for_a_quiet_moment() -> None:
    """An answer of nine seconds begins shortly before the time comes: first it is heard to its end."""
    long = "one two three four five six seven eight nine ten " * 3
    async with Caller(mock_responses=[long], realtime_factor=1.0, **MINUTE) as call:
        await asyncio.sleep(38)
        await call.engine.send_text("talk")
        restored = await call.until(ev.ConnectionRestored, 60)
        item = call.engine.conversation[-1]
        assert (item.status, item.heard_ms) == ("completed", item.audio_ms)
        assert restored.timestamp >= call.of(ev.AudioOutputStopped)[-1].timestamp
        assert not call.of(ev.ConversationInterrupted)
        call.check_log()


async def test_who_talks_all_the_time_is_taken_over_in_mid_sentence() -> None:
    """No quiet moment comes. Before the limit, the connection is changed, and the turn is heard as one."""
    words = " ".join(["tell me"] * 40)
    async with Caller(mock_responses="ok", **MINUTE) as call:
        await asyncio.sleep(38)
        call.say(words)
        restored = await call.until(ev.ConnectionRestored, 60)
        assert now() == pytest.approx(50, abs=0.5)
        assert restored.reason == "rotation"
        assert restored.audio_ms > 10_000
        await call.until(ev.ResponseCompleted)
        await call.quiet()
        users = [i.text for i in call.engine.conversation.messages if i.role == "user"]
        assert users == [words]
        assert not call.of(ev.ConnectionLost)
        assert len(call.of(ev.TurnDetected)) == 1


async def test_an_answer_is_not_cut_also_when_the_time_presses() -> None:
    """It is spoken from second 45 to 56; the connection is changed when all of it was sent."""
    long = "one two three four five six seven eight nine ten " * 3
    async with Caller(mock_responses=[long], realtime_factor=1.0, **MINUTE) as call:
        for _ in range(4):
            # Somebody who is never quiet.
            await asyncio.sleep(9)
            await call.engine.send_text("talk")
        await asyncio.sleep(9)
        await call.engine.send_text("talk")
        restored = await call.until(ev.ConnectionRestored, 60)
        assert 50 < now() < 60
        done = call.of(ev.ResponseCompleted)[-1]
        assert 0 <= restored.timestamp - done.timestamp < 0.5
        await call.quiet()
        assert call.engine.conversation[-1].text.split() == long.split()
        assert not call.of(ev.ConnectionLost)
        call.check_log()


async def test_where_it_cannot_be_opened_the_present_one_is_kept() -> None:
    faults = [Refuse(connect=2), Refuse(connect=3)]
    async with Caller(*faults, **MINUTE) as call:
        await asyncio.sleep(41)
        assert call.engine.is_connected
        assert call.engine.connection_state == "connected"
        (warning,) = call.of(ev.SystemWarning)
        assert warning.code == "rotation_failed"
        await call.engine.send_text("are you there")
        await call.quiet()
        assert call.engine.conversation[-1].text == "yes i am"
        await call.until(ev.ConnectionRestored)
        assert now() < 50
        assert call.plan.connects == 4
        assert not call.of(ev.ErrorGeneral)


async def test_one_that_comes_while_somebody_speaks_is_not_taken() -> None:
    """It was quiet when the handshake began, in second 43, and three seconds later is not."""
    async with Caller(latency_ms={**LATENCY, "connect": 3000}, **MINUTE) as call:
        await asyncio.sleep(40.5)
        call.say("tell me " * 8)
        await call.until(ev.ResponseCompleted)
        assert call.plan.connects == 2
        assert len(call.providers) == 1
        assert not call.of(ev.ConnectionRestored)
        restored = await call.until(ev.ConnectionRestored, 30)
        assert (restored.reason, restored.items) == ("rotation", 2)
        await call.quiet()
        assert len(call.engine.conversation) == 2
        call.check_log()


@pytest.mark.parametrize("after", [0.0, 0.05, 0.15])
async def test_lost_while_another_is_being_opened(after: float) -> None:
    async with Caller(**MINUTE) as call:
        await call.engine.send_text("are you there")
        await call.quiet()
        while call.plan.connects < 2 and now() < 45:
            # The attempt is counted when the handshake is over; the loss comes before, at, or after that.
            await asyncio.sleep(0.01)
            if now() >= 40.1 + after:
                break
        old = call.providers[0]
        assert isinstance(old, MockProvider)
        if old.is_connected:
            old.simulate_error("closed")
        await asyncio.sleep(1)
        assert call.engine.is_connected
        await call.engine.send_text("tell me")
        await call.quiet()
        assert [i.text for i in call.engine.conversation] == [
            "are you there",
            "yes i am",
            "tell me",
            "one two three four five six",
        ]


async def test_one_that_is_lost_right_after_it_took_over_is_replaced() -> None:
    async with Caller(Drop(connect=2, after_s=0.01), **MINUTE) as call:
        await call.until(ev.ConnectionRestored, 60)
        again = await call.until(ev.ConnectionRestored, 60)
        assert again.reason == "closed"
        await call.engine.send_text("are you there")
        await call.quiet()
        assert call.engine.conversation[-1].text == "yes i am"


async def test_disconnecting_while_another_is_being_opened_leaves_nothing() -> None:
    async with Caller(latency_ms={**LATENCY, "connect": 3000}, **MINUTE) as call:
        await asyncio.sleep(41)
        call.hang_up_microphone()
        began = now()
        await call.engine.disconnect()
        assert now() == began


async def test_settings_and_tools_go_along() -> None:
    made: list[Any] = []
    async with Caller(**MINUTE) as call:
        await call.engine.update_session(instructions="be brief")
        await call.until(ev.ConnectionRestored, 60)
        made = [mock(call)]
        assert made[0].config.instructions == "be brief"
        assert [t["name"] for t in made[0].config.tools or ()] == ["look"]
        await call.engine.send_text("look it up")
        await call.quiet()
        assert call.looked == ["look"]
        assert call.engine.conversation[-1].text == "found it"


async def test_a_switch_while_another_is_being_opened_is_what_counts() -> None:
    register_provider("other", lambda config: MockProvider(config))
    async with Caller(latency_ms={**LATENCY, "connect": 3000}, **MINUTE) as call:
        await asyncio.sleep(41)
        metadata = {**call.engine.config.metadata, "faults": None, "latency_ms": LATENCY}
        await call.engine.switch_provider(
            "other", call.engine.config.with_changes(metadata=metadata)
        )
        await asyncio.sleep(10)
        assert call.engine.provider is not None
        assert call.engine.provider.name == "other"
        assert not call.of(ev.ConnectionRestored)
