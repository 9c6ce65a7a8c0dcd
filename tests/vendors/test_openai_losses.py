"""A connection to OpenAI, Azure OpenAI, xAI or a compatible endpoint is lost in mid-call, and the call goes on."""

from __future__ import annotations

import asyncio

import pytest

from tests.vendors.call import LONG, Wire, call_to, drop, goes_on
from voxengine import events as ev
from voxengine.testing.emulators.faults import (
    Drop,
    Expire,
    Lag,
    Refuse,
)
from voxengine.testing.emulators.openai.session import Session

#: The two wires; and xAI without its own way to go on with a conversation is as OpenAI.
each_wire = pytest.mark.parametrize("dialect", ["openai", "xai"])
#: Words of one length, so that each is where an estimate by letters takes it to be.
TEN = " ".join(f"w{n}" for n in range(10, 20))
SENTENCE = "my order is number seventeen and it has not arrived yet"


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


async def test_words_whose_audio_did_not_come_were_not_said():
    async with call_to(faults=Drop(close_code=1011, response=1, after_chunks=1)) as call:
        await call.speak("tell me more")
        await call.quiet()
        begun = call.answers[0]
        assert (begun.status, begun.heard_ms) == ("incomplete", 100)
        assert call.ear.words(begun.id) == ""
        assert begun.text == ""


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


async def test_what_is_said_at_the_end_of_one_turn_and_the_beginning_of_the_next():
    """The news of a turn's end is late: what was said since is not a part of that turn."""
    async with call_to(faults=[Lag(0.4, connect=1)]) as call:
        await call.speak("one and two")
        await asyncio.sleep(0.6)  # it has ended, which we do not know yet
        seconds = call.say("three and four")
        await asyncio.sleep(0.9)
        assert len(call.of(ev.VadSpeechStarted)) == 2
        drop(call)
        await asyncio.sleep(seconds)
        await call.quiet()
        users = [text for role, text in call.log if role == "user"]
        assert users == ["one and two", "three and four"]
        assert call.answers[-1].text == "You said: three and four"
        await goes_on(call)


async def test_manual_turns_that_follow_each_other_without_a_pause():
    """The confirmation of a commit is late: what was said since is not a part of the turn that it ended."""
    async with call_to(turn_detection="none", faults=[Lag(0.4, connect=1)]) as call:
        await call.speak("one and two")
        await call.engine.commit_audio()
        await call.engine.create_response()
        seconds = call.say("three and four")
        await asyncio.sleep(0.9)
        assert len(call.of(ev.TurnDetected)) == 1
        drop(call)
        await asyncio.sleep(seconds)
        await call.engine.commit_audio()
        await call.engine.create_response()
        await call.quiet()
        users = [text for role, text in call.log if role == "user"]
        assert users == ["one and two", "three and four"]


async def test_the_words_of_an_answered_turn_that_are_lost_with_the_connection():
    """It was answered before it was written down. Nobody will write it down any more, and that is told."""
    async with call_to(vendor_settings={"transcript_delay_ms": 5000}) as call:
        await call.speak("good morning")
        await call.wait(ev.ResponseCompleted)
        drop(call)
        await call.quiet()
        await asyncio.sleep(6)
        assert call.answers[0].text == "You said: good morning"
        (user,) = [i for i in call.engine.conversation.messages if i.role == "user"]
        assert user.text == "good morning" or [e.item_id for e in call.of(ev.TranscriptFailed)] == [
            user.id
        ]


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
