"""What callers of other systems have suffered from: races of a call, and odd messages of the vendor."""

from __future__ import annotations

import asyncio

import pytest

from tests.vendors.call import LONG, Call, Wire, call_to
from voxengine import events as ev
from voxengine.testing.emulators.faults import (
    Duplicate,
    ErrorOnce,
    Lag,
    Late,
    LateAudio,
    Malformed,
    OutOfOrder,
    Oversized,
    UnknownEvent,
)

#: The two wires: Azure and compatible endpoints are OpenAI's but for the address and the key.
each_wire = pytest.mark.parametrize("dialect", ["openai", "xai"])


async def goes_on(call: Call) -> None:
    """Nothing is wrong with the call any more."""
    assert await call.ask("are you there") == "You said: are you there"
    call.check()
    assert not [e for e in call.of(ev.ErrorGeneral) if not e.recoverable]
    assert call.of(ev.ConnectionLost) == []


# -- cutting


@each_wire
async def test_an_interruption_before_anything_is_heard(dialect: str):
    """The device has a delay: audio has come, and none of it has reached the listener."""
    async with call_to(dialect, output_latency_ms=1000.0) as call:
        await call.speak("tell me more")
        await call.wait(ev.AudioOutputChunk)
        await call.engine.interrupt()
        await asyncio.sleep(1)
        assert call.session.refused == []
        assert [i.audio_ms for i in call.session.items if i.role == "assistant"] == [0]
        assert call.answers == []  # nothing of it was heard
        await call.quiet()
        assert await call.ask("are you there") == "You said: are you there"


@each_wire
async def test_an_interruption_before_the_first_audio(dialect: str):
    async with call_to(dialect) as call:
        await call.speak("tell me more")
        await call.wait(ev.ResponseStarted)
        await call.engine.interrupt()
        await asyncio.sleep(1)
        assert call.session.refused == []
        assert call.ear.words() == ""
        await goes_on(call)
        assert [a.text for a in call.answers] == ["You said: are you there"]


@each_wire
async def test_the_user_goes_on_before_the_first_audio(dialect: str):
    """The pause was only a pause: one turn, one answer, and no half of one."""
    slow = {"good morning": {"text": LONG, "delay_ms": 2000}}
    async with call_to(dialect, slow) as call:
        await call.speak("good morning")
        await call.wait(ev.ResponseStarted)
        await call.speak("to you")
        await call.quiet()
        assert call.session.refused == []
        assert call.ear.words() == "You said: to you"
        assert [a.text for a in call.answers] == ["You said: to you"]
        await goes_on(call)


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3])
async def test_an_interruption_at_any_moment_of_the_beginning(after_s: float):
    async with call_to() as call:
        await call.speak("tell me more")
        await call.wait(ev.TurnDetected)
        await asyncio.sleep(after_s)
        await call.engine.interrupt()
        await call.quiet()
        assert call.session.refused == []
        for item in call.answers:
            assert call.vendor_item(item.id).audio_ms == pytest.approx(item.heard_ms, abs=1)
        await goes_on(call)


async def test_a_response_that_has_ended_when_it_is_called_off():
    """The cancel and the end of the response pass each other on the way."""
    async with call_to(faults=Lag(0.4, after_s=0.0)) as call:
        await call.speak("please say one two three")
        await call.wait(ev.AudioOutputChunk, 8)
        await call.engine.interrupt()
        await call.quiet()
        assert ("response.cancel", "response_cancel_not_active") in call.session.refused
        assert call.of(ev.ErrorGeneral) == []
        await goes_on(call)


async def test_the_vendor_says_that_there_is_nothing_to_cancel():
    async with call_to() as call:
        await call.engine.provider.send_event({"type": "response.cancel"})  # type: ignore[union-attr]
        await asyncio.sleep(0.5)
        assert call.session.refused == [("response.cancel", "response_cancel_not_active")]
        assert call.of(ev.ErrorGeneral) == []
        await goes_on(call)


@each_wire
async def test_audio_after_the_cancel_is_not_played_and_not_logged(dialect: str):
    async with call_to(dialect, faults=LateAudio(connect=1)) as call:
        await call.speak("tell me more")
        await call.wait(ev.AudioOutputStarted)
        await asyncio.sleep(2)
        await call.engine.interrupt()
        heard = call.ear.ms(call.answers[0].id)
        await call.quiet()
        assert call.ear.ms(call.answers[0].id) == heard
        await goes_on(call)


async def test_audio_that_is_on_its_way_when_the_user_interrupts():
    async with call_to(faults=Lag(0.6, after_s=0.0)) as call:
        await call.speak("tell me more")
        await call.wait(ev.AudioOutputStarted)
        await asyncio.sleep(2)
        await call.speak("stop please")
        await call.quiet()
        assert len(call.of(ev.ConversationInterrupted)) == 1
        assert call.session.refused == []
        cut = call.answers[0]
        assert call.vendor_item(cut.id).audio_ms == pytest.approx(cut.heard_ms, abs=1)
        await goes_on(call)


# -- one response at a time


@each_wire
async def test_a_request_that_races_the_response_of_the_vendor(dialect: str):
    async with call_to(dialect) as call:
        await call.speak("good morning")
        await call.wait(ev.VadSpeechEnded)
        await call.engine.create_response()
        await call.quiet()
        assert call.ear.words() == "You said: good morning"
        assert call.of(ev.ErrorGeneral) == []
        await goes_on(call)


@pytest.mark.parametrize("ms", [0, 100, 200, 300, 400, 500, 520, 540, 560, 600])
async def test_a_request_at_any_moment_of_the_end_of_a_turn(ms: int):
    """Asked for while speech ends, it is either the answer to the turn or followed by it: never silence."""
    async with call_to(vendor_settings={"greeting": "hello"}) as call:
        await call.speak("good morning")
        await asyncio.sleep(ms / 1000)
        await call.engine.create_response()
        await call.quiet()
        assert call.ear.words().endswith("You said: good morning")
        assert call.ear.words().count("morning") == 1
        assert call.of(ev.ErrorGeneral) == []
        await goes_on(call)


@each_wire
async def test_a_text_that_races_the_response_of_the_vendor(dialect: str):
    async with call_to(dialect) as call:
        await call.speak("good morning")
        await call.wait(ev.VadSpeechEnded)
        await call.engine.send_text("in writing")
        await call.quiet()
        assert call.ear.words().endswith("You said: in writing")
        assert call.of(ev.ErrorGeneral) == []
        await goes_on(call)


async def test_many_requests_at_once_are_one_answer():
    async with call_to(vendor_settings={"greeting": "hello you"}) as call:
        await asyncio.gather(*(call.engine.create_response() for _ in range(10)))
        await call.quiet()
        assert call.ear.words() == "hello you"
        await goes_on(call)


# -- tools


@each_wire
async def test_the_user_speaks_while_a_tool_runs_and_is_answered(dialect: str):
    async with call_to(dialect) as call:
        call.tool_seconds = 5.0
        await call.speak("look it up")
        await call.wait(ev.FunctionInvoked)
        await asyncio.sleep(1.0)
        await call.speak("are you there")
        await call.quiet()
        assert call.log[-1] == ("assistant", "You said: are you there")
        assert len(call.of(ev.FunctionCancelled)) == 1
        assert call.looked == ["it"]
        await goes_on(call)


@each_wire
@pytest.mark.parametrize("tool_s", [0.3, 0.5, 0.7, 1.0, 1.3, 1.6, 2.0])
async def test_a_noise_while_a_tool_runs_does_not_lose_the_answer(dialect: str, tool_s: float):
    """What is said after the call is answered, whenever the tool returns: there is never silence."""
    async with call_to(dialect) as call:
        call.tool_seconds = tool_s
        await call.speak("look it up")
        await call.wait(ev.FunctionInvoked)
        await asyncio.sleep(0.4)
        await call.speak("and then")
        await call.quiet()
        assert call.answers, "the answer never came"
        assert call.log[-1][0] == "assistant"
        await goes_on(call)


async def test_a_tool_that_fails_is_spoken_of():
    async with call_to(responses={"look it up": {"tool": "look", "then": "sorry"}}) as call:
        call.tool_failure = RuntimeError("the shelf is empty")
        assert await call.ask("look it up") == "sorry"
        assert len(call.of(ev.FunctionFailed)) == 1


async def test_a_tool_that_a_text_has_called_while_the_user_spoke():
    """The turn has its answer while the tool runs; what the tool has found is then said, too."""
    async with call_to() as call:
        call.tool_seconds = 5.0
        seconds = call.say("there is something else that i wanted to say")
        await asyncio.sleep(0.5)
        await call.engine.send_text("look it up")
        await asyncio.sleep(seconds)
        await call.quiet()
        await asyncio.sleep(5)
        await call.quiet()
        assert call.looked == ["it"]
        assert call.ear.words().endswith("found it")


async def test_a_text_while_a_tool_runs():
    async with call_to() as call:
        call.tool_seconds = 3.0
        await call.speak("look it up")
        await call.wait(ev.FunctionInvoked)
        await call.engine.send_text("never mind")
        await call.quiet()
        assert call.log[-1] == ("assistant", "You said: never mind")
        await goes_on(call)


# -- order


@each_wire
@pytest.mark.parametrize("seconds", [0.5, 3.0, 8.0])
async def test_transcripts_stand_where_they_were_said(dialect: str, seconds: float):
    settings = {"transcript_delay_ms": seconds * 1000}
    async with call_to(dialect, vendor_settings=settings) as call:
        for words in ("one", "two", "three"):
            await call.speak(words)
            await call.wait(ev.ResponseCompleted, len(call.of(ev.ResponseCompleted)) + 1)
            await asyncio.sleep(2)
        await asyncio.sleep(seconds)
        await call.quiet()
        assert call.log == [
            pair
            for words in ("one", "two", "three")
            for pair in (("user", words), ("assistant", f"You said: {words}"))
        ]
        call.check()


async def test_the_order_of_a_barge_in_with_late_transcripts():
    async with call_to(vendor_settings={"transcript_delay_ms": 5000}) as call:
        await call.speak("tell me more")
        await call.wait(ev.AudioOutputStarted)
        await asyncio.sleep(2)
        await call.speak("stop please")
        await asyncio.sleep(8)
        await call.quiet()
        roles = [role for role, _ in call.log]
        assert roles == ["user", "assistant", "user", "assistant"]
        assert [call.log[0][1], call.log[2][1]] == ["tell me more", "stop please"]
        call.check()


# -- odd messages


@each_wire
async def test_a_message_of_a_type_that_nobody_knows(dialect: str):
    faults = [UnknownEvent(after_chunks=1), UnknownEvent(after_s=0.5, event_type="session.mood")]
    async with call_to(dialect, faults=faults) as call:
        assert await call.ask("good morning") == "You said: good morning"
        names = [e.name for e in call.of(ev.RawEvent)]
        assert {"response.mood.updated", "session.mood"} <= set(names)
        await goes_on(call)


async def test_a_message_of_twenty_mebibytes():
    async with call_to(faults=Oversized(after_chunks=2)) as call:
        assert await call.ask("good morning") == "You said: good morning"
        await goes_on(call)


async def test_a_message_that_is_no_message():
    async with call_to(faults=Malformed(after_chunks=2)) as call:
        assert await call.ask("good morning") == "You said: good morning"
        (error,) = call.of(ev.ErrorGeneral)
        assert error.recoverable
        await goes_on(call)


@each_wire
@pytest.mark.parametrize(
    "kind",
    [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.input_audio_transcription.completed",
        "response.created",
        "response.output_audio.delta",
        "response.output_audio_transcript.delta",
        "response.output_audio_transcript.done",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.done",
    ],
)
async def test_what_is_told_twice_happens_once(dialect: str, kind: str):
    async with call_to(dialect, faults=Duplicate(kind, times=0)) as call:
        assert await call.ask("good morning") == "You said: good morning"
        assert await call.ask("look it up") == "found it"
        assert call.looked == ["it"]
        assert [text for role, text in call.log if role == "user"] == ["good morning", "look it up"]
        for each in (ev.VadSpeechStarted, ev.TurnDetected, ev.TranscriptCompleted):
            assert len(call.of(each)) == 2
        call.check()
        assert call.of(ev.ErrorGeneral) == []


@pytest.mark.parametrize(
    "fault",
    [
        Late("response.done", by=2.0),
        Late("input_audio_buffer.committed", by=0.3),
        Late("input_audio_buffer.speech_stopped", by=0.3),
        Late("input_audio_buffer.speech_started", by=0.3),
        Late("conversation.item.input_audio_transcription.delta", by=1.0, times=0),
        OutOfOrder("response.created", behind=3),
        OutOfOrder("response.output_item.added", behind=2),
        OutOfOrder("response.output_audio_transcript.done", behind=2),
        OutOfOrder("input_audio_buffer.committed", behind=2),
        OutOfOrder("response.done", behind=1),
    ],
    ids=lambda fault: f"{type(fault).__name__}-{fault.event_type}",
)
async def test_messages_that_come_late_or_in_another_order(fault: object):
    async with call_to(faults=fault) as call:
        assert await call.ask("good morning") == "You said: good morning"
        assert call.log == [("user", "good morning"), ("assistant", "You said: good morning")]
        await goes_on(call)


@each_wire
async def test_a_response_that_fails_is_told_and_the_next_turn_works(dialect: str):
    async with call_to(dialect, faults=ErrorOnce(response=1, after_chunks=2)) as call:
        await call.speak("tell me more")
        failed = await call.wait(ev.ResponseError)
        assert failed.code == "server"
        await call.quiet()
        await goes_on(call)


async def test_speech_that_cannot_be_written_down_is_answered():
    """The vendor hears a voice that it cannot make words of."""
    wire = Wire()
    settings = {"transcripts": [None], "on_event": wire}
    async with call_to(vendor_settings=settings) as call:
        call._words += bytes.fromhex("0020" * 12000 + "00e0" * 12000)
        await call.wait(ev.TranscriptFailed)
        await call.quiet()
        assert len(call.answers) == 1
        assert call.engine.conversation.messages[0].status == "completed"
        await goes_on(call)


async def test_nothing_is_left_of_a_call_that_is_hung_up_in_mid_answer():
    """The leak checks of the test see to it."""
    async with call_to() as call:
        await call.speak("tell me more")
        await call.wait(ev.AudioOutputStarted)
        await asyncio.sleep(1)
    assert LONG.startswith(call.answers[0].text)
    call.check()


@each_wire
async def test_a_call_that_is_hung_up_while_a_tool_runs(dialect: str):
    async with call_to(dialect) as call:
        call.tool_seconds = 60
        await call.speak("look it up")
        await call.wait(ev.FunctionInvoked)
        await asyncio.sleep(1)
