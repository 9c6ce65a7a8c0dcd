"""How long a connection to a vendor of the OpenAI family may be lost, and what does not come at all."""

from __future__ import annotations

import asyncio

import pytest

from tests.vendors.call import Call, Wire, call_to, drop, goes_on, now
from voxengine import ConnectionError
from voxengine import events as ev
from voxengine.testing.emulators.faults import Drop, Flap, Lag, Refuse, Stall

each_wire = pytest.mark.parametrize("dialect", ["openai", "xai"])
SENTENCE = "my order is number seventeen and it has not arrived yet"


# -- how long it is lost


async def outage(call: Call, seconds: float) -> None:
    """Let the vendor be gone for a while."""
    await call.emulator.kill()
    await asyncio.sleep(seconds)
    await call.emulator.start()


@each_wire
async def test_an_outage_while_nobody_speaks_leaves_nothing_to_be_sent_later(dialect: str):
    wire = Wire()
    async with call_to(dialect, vendor_settings={"on_event": wire}) as call:
        await call.ask("good morning")
        await outage(call, 3.0)
        restored = await call.wait(ev.ConnectionRestored)
        assert restored.outage_ms >= 3000
        assert (restored.audio_ms, restored.audio_lost_ms) == (0, 0)
        began = call.at(restored)
        await asyncio.sleep(2)
        assert wire.words(1) == ""
        # Since then as much as was spoken since then, and not what was silence before.
        assert wire.ms(1) == pytest.approx((now() - began) * 1000, abs=60)
        await goes_on(call)
        assert wire.words(1) == "are you there"


@each_wire
async def test_what_the_user_says_during_an_outage_arrives(dialect: str):
    wire = Wire()
    async with call_to(dialect, vendor_settings={"on_event": wire}) as call:
        await call.ask("good morning")
        seconds = call.say(SENTENCE)
        await asyncio.sleep(0.7)
        await outage(call, 3.0)
        restored = await call.wait(ev.ConnectionRestored)
        assert restored.audio_ms > 3000
        assert restored.audio_lost_ms == 0
        await asyncio.sleep(max(0.0, seconds - 3.7))
        await call.quiet()
        assert wire.words(1) == SENTENCE
        assert call.log[-2:] == [("user", SENTENCE), ("assistant", f"You said: {SENTENCE}")]
        await goes_on(call)


@each_wire
async def test_what_is_said_wholly_within_an_outage_arrives(dialect: str):
    wire = Wire()
    async with call_to(dialect, vendor_settings={"on_event": wire}) as call:
        await call.ask("good morning")
        await call.emulator.kill()
        await asyncio.sleep(1)
        call.say("are you still there")
        await asyncio.sleep(3)
        await call.emulator.start()
        await call.wait(ev.ConnectionRestored)
        await call.quiet()
        assert wire.words(1) == "are you still there"
        assert call.log[-2:] == [
            ("user", "are you still there"),
            ("assistant", "You said: are you still there"),
        ]
        await goes_on(call)


@each_wire
async def test_one_attempt_fails_and_the_next_works(dialect: str):
    faults = [Refuse("server_error", connect=2), Flap(connect=3)]
    async with call_to(dialect, faults=faults) as call:
        await call.ask("good morning")
        drop(call)
        restored = await call.wait(ev.ConnectionRestored)
        # One that resumes takes the hanging up for an answer, and begins anew at once.
        assert restored.attempts == (2 if dialect == "xai" else 3)
        assert (restored.resumed, restored.items) == (False, 2)
        await goes_on(call)


@each_wire
async def test_a_vendor_that_refuses_a_few_times(dialect: str):
    faults = [Refuse("refused", connect=n) for n in (2, 3, 4, 5)]
    async with call_to(dialect, faults=faults) as call:
        drop(call)
        restored = await call.wait(ev.ConnectionRestored)
        assert restored.attempts == 5
        assert restored.resumed is (dialect == "xai")  # a network that fails says nothing of that
        await goes_on(call)


@pytest.mark.parametrize("what", ["auth", "quota"])
async def test_a_key_that_does_not_do_any_more_ends_it_at_once(what: str):
    async with call_to(faults=Refuse(what, connect=2, times=0)) as call:
        await call.ask("good morning")
        call.hang_up_microphone()
        drop(call)
        failed = await call.wait(ev.ConnectionFailed)
        assert failed.code == what
        assert call.at(failed) - call.at(call.of(ev.ConnectionLost)[0]) < 1
        assert len(call.engine.conversation) == 2
        with pytest.raises(ConnectionError):
            await call.engine.send_text("in writing")


async def test_a_vendor_that_never_comes_back_is_given_up_within_the_budget():
    async with call_to() as call:
        await call.ask("good morning")
        call.hang_up_microphone()
        await call.emulator.kill()
        began = now()
        failed = await call.wait(ev.ConnectionFailed)
        assert failed.code == "reconnect_timeout"
        assert now() - began <= 10.1
        (error,) = [e for e in call.of(ev.ErrorGeneral) if not e.recoverable]
        assert error.code == "reconnect_timeout"
        # The log stays; whoever tries again later goes on with it.
        await call.emulator.start()
        await call.engine.connect()
        await call.engine.send_text("in writing")
        await call.quiet()
        assert call.log[-1] == ("assistant", "You said: in writing")
        assert len(call.session.items) == 4


async def test_a_vendor_that_drops_every_connection_at_once():
    async with call_to(faults=[Flap(connect=n) for n in range(2, 40)]) as call:
        await call.ask("good morning")
        call.hang_up_microphone()
        drop(call)
        began = now()
        failed = await call.wait(ev.ConnectionFailed)
        assert failed.code in ("flapping", "reconnect_timeout", "closed")
        assert now() - began <= 10.1


@pytest.mark.parametrize("after_s", [0.2, 1.0])
async def test_a_vendor_that_drops_every_connection_soon(after_s: float):
    faults = [Drop(close_code=1011, connect=n, after_s=after_s) for n in range(2, 40)]
    async with call_to(faults=faults) as call:
        await call.ask("good morning")
        call.hang_up_microphone()
        drop(call)
        began = now()
        failed = await call.wait(ev.ConnectionFailed)
        assert failed.code == "flapping"
        assert now() - began <= 10.0
        assert len(call.emulator.sessions) <= 7


async def test_a_vendor_that_is_slow_to_greet_is_tried_again():
    """The new socket opens, and nothing comes over it."""
    async with call_to(faults=Stall(connect=2), connect_timeout=2.0) as call:
        await call.ask("good morning")
        drop(call)
        restored = await call.wait(ev.ConnectionRestored)
        assert restored.attempts == 2
        await goes_on(call)


# -- what does not come


@each_wire
async def test_an_answer_that_stops_coming(dialect: str):
    faults = Stall(30, response=1, after_chunks=3)
    async with call_to(dialect, faults=faults, stall_timeout=5.0) as call:
        await call.speak("tell me more")
        error = await call.wait(ev.ErrorGeneral)
        assert error.code == "response_stalled"
        await asyncio.sleep(30)
        await call.quiet()
        await goes_on(call)


async def test_an_answer_that_never_begins():
    faults = Stall(25, response=1, after_chunks=0)
    async with call_to(faults=faults, response_timeout=4.0, stall_timeout=4.0) as call:
        await call.speak("tell me more")
        error = await call.wait(ev.ErrorGeneral)
        assert error.code in ("response_timeout", "response_stalled")
        await asyncio.sleep(25)
        await call.quiet()
        await goes_on(call)


async def test_a_connection_that_is_slow_loses_nothing():
    async with call_to(faults=Lag(1.5, after_s=0.0)) as call:
        assert await call.ask("good morning") == "You said: good morning"
        await goes_on(call)
