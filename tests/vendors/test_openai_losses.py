"""A connection to OpenAI, Azure OpenAI, xAI or a compatible endpoint is lost in mid-call, and the call goes on."""

from __future__ import annotations

import asyncio

import pytest

from tests.vendors.call import LONG, Call, Wire, call_to, now, until
from voxengine import ConnectionError
from voxengine import events as ev
from voxengine.testing.emulators.faults import (
    Drop,
    Expire,
    Flap,
    Lag,
    Refuse,
    Stall,
)
from voxengine.testing.emulators.openai.session import Session

#: The two wires; and xAI without its own way to go on with a conversation is as OpenAI.
each_wire = pytest.mark.parametrize("dialect", ["openai", "xai"])
#: Words of one length, so that each is where an estimate by letters takes it to be.
TEN = " ".join(f"w{n}" for n in range(10, 20))
SENTENCE = "my order is number seventeen and it has not arrived yet"


def drop(call: Call, code: int = 1011) -> None:
    """The vendor closes the connection."""
    call.session.close(code, "upstream")


async def goes_on(call: Call) -> None:
    assert await call.ask("are you there") == "You said: are you there"
    call.check()
    assert call.emulator.judge is not None
    assert call.emulator.judge.violations == []
    # A response that is given up may have ended there already.
    refused = {code for session in call.emulator.sessions for _, code in session.refused}
    assert refused <= {"response_cancel_not_active"}
    assert not [e for e in call.of(ev.ErrorGeneral) if not e.recoverable]


# -- where it is lost


@each_wire
@pytest.mark.parametrize("after_s", [0.2, 0.5, 1.0, 2.0, 3.0])
async def test_in_the_middle_of_what_the_user_says(dialect: str, after_s: float):
    wire = Wire()
    async with call_to(dialect, vendor_settings={"on_event": wire}) as call:
        await call.ask("good morning")
        seconds = call.say(SENTENCE)
        await asyncio.sleep(after_s)
        drop(call)
        await asyncio.sleep(seconds - after_s)
        await call.quiet()
        assert call.log == [
            ("user", "good morning"),
            ("assistant", "You said: good morning"),
            ("user", SENTENCE),
            ("assistant", f"You said: {SENTENCE}"),
        ]
        assert call.ear.words() == f"You said: good morning You said: {SENTENCE}"
        assert wire.words(1) == SENTENCE
        assert len(call.of(ev.ConnectionRestored)) == 1
        await goes_on(call)


@each_wire
@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.3, 0.45, 0.55])
async def test_just_after_the_user_has_spoken(dialect: str, after_s: float):
    async with call_to(dialect) as call:
        await call.speak(SENTENCE)
        await asyncio.sleep(after_s)
        drop(call)
        await call.quiet()
        # If an answer had begun, what was heard of it stays, and it is given once more.
        assert [pair for pair in call.log if pair[0] == "user"] == [("user", SENTENCE)]
        answers = [i.text for i in call.answers if i.status == "completed"]
        assert answers == [f"You said: {SENTENCE}"]
        assert call.ear.words().endswith(f"You said: {SENTENCE}")
        await goes_on(call)


@each_wire
@pytest.mark.parametrize("known", [True, False])
async def test_before_the_answer_has_begun(dialect: str, known: bool):
    """Its turn is over; its words are known already, or not yet."""
    settings = {"transcript_delay_ms": 50 if known else 5000, "latency_ms": 2000}
    async with call_to(dialect, vendor_settings=settings) as call:
        await call.speak("good morning")
        await call.wait(ev.TurnDetected)
        await asyncio.sleep(1.0)
        assert bool(call.of(ev.TranscriptCompleted)) is known
        drop(call)
        await call.quiet()
        await asyncio.sleep(5)
        assert call.log == [("user", "good morning"), ("assistant", "You said: good morning")]
        assert call.ear.words() == "You said: good morning"
        await goes_on(call)


@each_wire
@pytest.mark.parametrize("code", [1011, 1006, 1001, 1000])
async def test_in_the_middle_of_an_answer(dialect: str, code: int):
    async with call_to(dialect) as call:
        await call.speak(f"please say {TEN}")
        await call.wait(ev.AudioOutputStarted)
        await asyncio.sleep(0.3)
        drop(call, code)
        await call.quiet()
        begun, answer = call.answers
        assert begun.status == "incomplete"
        assert answer.text == TEN
        heard = call.ear.words().split()
        assert heard[-10:] == answer.text.split()
        assert len(call.of(ev.ResponseError)) == 1
        await goes_on(call)


@each_wire
async def test_when_the_answer_has_come_and_is_still_playing(dialect: str):
    async with call_to(dialect, vendor_settings={"pace": 50.0}) as call:
        await call.speak("tell me more")
        await call.wait(ev.ResponseCompleted)
        await asyncio.sleep(0.5)
        drop(call)
        await call.quiet()
        assert call.ear.words() == LONG
        assert call.log == [("user", "tell me more"), ("assistant", LONG)]
        assert call.of(ev.ConversationInterrupted) == []
        await goes_on(call)


@each_wire
async def test_a_barge_in_into_what_a_lost_connection_has_sent(dialect: str):
    async with call_to(dialect, vendor_settings={"pace": 50.0}) as call:
        await call.speak("tell me more")
        await call.wait(ev.ResponseCompleted)
        await asyncio.sleep(0.5)
        drop(call)
        await call.wait(ev.ConnectionRestored)
        await asyncio.sleep(1)
        await call.speak("stop please")
        await call.quiet()
        cut = call.answers[0]
        assert cut.status == "incomplete"
        assert call.ear.words(cut.id).split() == cut.text.split()
        assert call.log[-2:] == [("user", "stop please"), ("assistant", "You said: stop please")]
        await goes_on(call)


@each_wire
@pytest.mark.parametrize("tool_s", [0.2, 1.0, 3.0])
async def test_while_a_tool_runs(dialect: str, tool_s: float):
    async with call_to(dialect) as call:
        call.tool_seconds = tool_s
        await call.speak("look it up")
        await call.wait(ev.FunctionInvoked)
        await asyncio.sleep(0.15)
        drop(call)
        await call.quiet()
        assert call.looked == ["it"]
        assert call.ear.words() == "found it"
        assert call.log == [("user", "look it up"), ("assistant", "found it")]
        await goes_on(call)


@each_wire
async def test_after_the_result_of_a_tool_was_sent(dialect: str):
    async with call_to(dialect, vendor_settings={"latency_ms": 1000}) as call:
        await call.speak("look it up")
        await call.wait(ev.FunctionCompleted)
        await asyncio.sleep(0.3)
        drop(call)
        await call.quiet()
        assert call.looked == ["it"]
        assert call.ear.words() == "found it"
        await goes_on(call)


@each_wire
async def test_the_vendor_ends_the_session(dialect: str):
    async with call_to(dialect, faults=Expire(after_s=8)) as call:
        await call.ask("good morning")
        restored = await call.wait(ev.ConnectionRestored)
        assert restored.reason == "session_expired"
        await goes_on(call)
        assert call.log[:2] == [("user", "good morning"), ("assistant", "You said: good morning")]


@each_wire
async def test_texts_that_are_sent_as_it_is_lost(dialect: str):
    async with call_to(dialect) as call:
        await call.ask("good morning")
        drop(call)
        await call.engine.send_text("in writing")
        await call.quiet()
        assert call.log[-2:] == [("user", "in writing"), ("assistant", "You said: in writing")]
        assert call.ear.words().count("writing") == 1
        await goes_on(call)


@each_wire
async def test_a_text_during_an_outage(dialect: str):
    async with call_to(dialect, faults=[Refuse("server_error", connect=2)]) as call:
        drop(call)
        await call.wait(ev.ConnectionLost)
        await call.engine.send_text("in writing")
        await call.quiet()
        assert call.log == [("user", "in writing"), ("assistant", "You said: in writing")]
        await goes_on(call)


async def test_turns_that_the_application_ends():
    async with call_to(turn_detection="none") as call:
        seconds = call.say(SENTENCE)
        await asyncio.sleep(seconds / 2)
        drop(call)
        await asyncio.sleep(seconds / 2)
        await call.engine.commit_audio()
        await call.engine.create_response()
        await call.quiet()
        assert call.log == [("user", SENTENCE), ("assistant", f"You said: {SENTENCE}")]


async def test_a_turn_that_the_application_has_ended():
    settings = {"transcript_delay_ms": 5000, "latency_ms": 2000}
    async with call_to(turn_detection="none", vendor_settings=settings) as call:
        await call.speak(SENTENCE)
        await call.engine.commit_audio()
        await call.engine.create_response()
        await asyncio.sleep(1)
        drop(call)
        await call.quiet()
        await asyncio.sleep(6)
        assert call.log == [("user", SENTENCE), ("assistant", f"You said: {SENTENCE}")]
        assert call.ear.words() == f"You said: {SENTENCE}"


async def test_settings_that_were_changed_hold_for_the_next_connection():
    async with call_to(instructions="Be brief.") as call:
        await call.engine.update_session(instructions="Be kind.", speed=1.5)
        drop(call)
        await call.wait(ev.ConnectionRestored)
        assert call.session.config["instructions"] == "Be kind."
        assert call.session.config["audio"]["output"]["speed"] == 1.5


@each_wire
async def test_at_another_rate(dialect: str):
    async with call_to(dialect, input_format=8000, output_format=16000) as call:
        seconds = call.say(SENTENCE)
        await asyncio.sleep(2)
        drop(call)
        await asyncio.sleep(seconds - 2)
        await call.quiet()
        assert call.log == [("user", SENTENCE), ("assistant", f"You said: {SENTENCE}")]
        await goes_on(call)


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


async def test_what_is_charged_over_two_connections():
    async with call_to() as call:
        await call.ask("good morning")
        drop(call)
        await call.wait(ev.ConnectionRestored)
        await call.ask("and again")
        used = await call.engine.get_usage()
        sessions: list[Session] = call.emulator.sessions
        assert used["output_audio_tokens"] == sum(s.usage.output_audio_tokens for s in sessions)
        model = call.session.config["model"]
        (leg,) = [leg for leg in used["legs"] if leg["model"] == model]
        assert leg["responses"] == 2
