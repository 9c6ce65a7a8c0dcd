"""The caller speaks while the assistant thinks or talks."""

from __future__ import annotations

import asyncio

import pytest

from tests.cascade.fakes import Call, FakeBrain, noise, silence
from tests.cascade.fakes import call as tool_call
from voxengine import events as ev
from voxengine.errors import MessageError
from voxengine.providers.cascade.parts import Message

LONG = "This is a long answer. It has several sentences. You may interrupt it. It would go on for long."


async def test_a_barge_in_stops_everything_at_once() -> None:
    brain = FakeBrain(lambda _: [LONG, 0.5, " And on.", 100.0, "Never."])
    async with Call(brain=brain) as call:
        await call.say("hello", pause_ms=2500)
        assert call.provider.is_connected
        n = len(call.told)
        await call.say("stop it please", pause_ms=0)
        after = [e for _, e in call.told[n:]]
        assert [type(e) for e in after[:2]] == [ev.VadSpeechStarted, ev.ResponseCancelled]
        assert after[1].reason == "turn_detected"
        assert not [e for e in after if type(e) in (ev.AudioOutputChunk, ev.TextOutput)]
        assert brain.closed == 1
        # A new item: of the answer, something was heard.
        assert after[0].item_id != call.all(ev.TurnDetected)[0].item_id


async def test_the_brain_remembers_only_what_was_heard() -> None:
    async with Call(brain=FakeBrain(lambda m: [LONG] if len(m) == 1 else ["Fine."])) as call:
        await call.say("hello", pause_ms=2500)
        first_audio = call.at(ev.AudioOutputChunk)
        await call.say("stop", pause_ms=1000)
        heard_ms = (call.at(ev.VadSpeechStarted, 1) - first_audio) * 1000
        user, assistant, again = call.brain.asked[1]
        assert (user.text, again.text) == ("hello", "stop")
        assert LONG.startswith(assistant.text)
        # 50 ms a character: whole words of what had been played by then.
        assert len(assistant.text) * 50 <= heard_ms < (len(assistant.text) + 12) * 50


async def test_the_session_knows_better_what_was_heard() -> None:
    async with Call(brain=FakeBrain(lambda m: [LONG] if len(m) == 1 else ["Fine."])) as call:
        await call.say("hello", pause_ms=2500)
        await call.say("stop", pause_ms=100)
        item_id = call.all(ev.TextOutput)[0].item_id
        await call.provider.truncate_item(item_id, 700, "This is")
        await call.send(silence(1000))
        assert call.brain.asked[1][1] == Message("assistant", "This is")
        with pytest.raises(MessageError):
            await call.provider.truncate_item("nobody", 0, "")


async def test_an_answer_that_only_plays_any_more_is_stopped_too() -> None:
    async with Call(brain=FakeBrain(lambda m: [LONG])) as call:
        await call.say("hello", pause_ms=2500)
        assert call.all(ev.ResponseCompleted)
        await call.say("stop", pause_ms=1000)
        assert not call.all(ev.ResponseCancelled)
        assert len(call.brain.asked[1]) == 3
        assert call.brain.asked[1][1].text != LONG


async def test_the_barge_in_is_told_also_where_speech_events_are_not_wanted() -> None:
    async with Call(brain=FakeBrain(lambda m: [LONG]), vad_events=False) as call:
        await call.say("hello", pause_ms=2500)
        assert not call.all(ev.VadSpeechStarted)
        await call.say("stop", pause_ms=1000)
        assert len(call.all(ev.VadSpeechStarted)) == len(call.all(ev.VadSpeechEnded)) == 1


async def test_a_click_does_not_cut_the_answer() -> None:
    async with Call(brain=FakeBrain(lambda m: [LONG])) as call:
        await call.say("hello", pause_ms=2500)
        await call.send(noise(30) + silence(500))
        assert len(call.all(ev.VadSpeechStarted)) == 1


async def test_going_on_before_the_answer_is_heard_continues_the_turn() -> None:
    async with Call(brain=FakeBrain(lambda m: [1.0, f"Doing {m[-1].text}."])) as call:
        await call.say("go forward", pause_ms=800)
        assert call.heard() == ["go forward"]
        await call.say("ten meters", pause_ms=3000)
        assert call.heard() == ["go forward", "go forward ten meters"]
        assert len({e.item_id for e in call.all(ev.TranscriptCompleted)}) == 1
        assert len({e.item_id for e in call.all(ev.VadSpeechStarted)}) == 1
        assert call.brain.asked == [
            [Message("user", "go forward")],
            [Message("user", "go forward ten meters")],
        ]
        assert call.spoken() == "Doing go forward ten meters."
        kinds = [type(e) for _, e in call.told]
        assert kinds.index(ev.VadSpeechStarted) < kinds.index(ev.ResponseCancelled)
        assert call.turn.pauses[0][1] is False


async def test_going_on_while_the_first_sentence_is_made_continues_the_turn() -> None:
    async with Call() as call:
        call.tts.delay = 1.0
        await call.say("go forward", pause_ms=700)
        await call.say("ten meters", pause_ms=4000)
        assert call.heard()[-1] == "go forward ten meters"
        assert call.spoken() == "You said go forward ten meters."


async def test_who_began_before_the_first_sound_was_going_on() -> None:
    async with Call() as call:
        # The answer's first sound comes while the frames that confirm the speech are still coming.
        call.tts.delay = 0.06
        await call.say("go forward", pause_ms=340)
        await call.say("ten meters", pause_ms=3000)
        assert call.heard()[-1] == "go forward ten meters"
        assert call.brain.asked[-1] == [Message("user", "go forward ten meters")]


async def test_a_turn_can_go_on_more_than_once() -> None:
    async with Call(brain=FakeBrain(lambda m: [1.0, f"Doing {m[-1].text}."])) as call:
        for word in ("one", "two", "three", "four"):
            await call.say(word, pause_ms=700)
        await call.send(silence(3000))
        assert call.heard() == ["one", "one two", "one two three", "one two three four"]
        assert call.brain.asked[-1] == [Message("user", "one two three four")]
        assert call.spoken() == "Doing one two three four."


async def test_a_noise_before_the_answer_changes_nothing() -> None:
    async with Call(brain=FakeBrain(lambda m: [1.0, f"Doing {m[-1].text}."])) as call:
        await call.say("go", pause_ms=700)
        await call.send(noise(200) + silence(3000))
        assert call.heard() == ["go", "go"]
        assert call.spoken() == "Doing go."


async def test_what_a_void_answer_has_done_is_remembered() -> None:
    def answer(messages: list[Message]) -> list[object]:
        done = [m for m in messages if m.role == "tool"]
        return [1.0, "All done."] if done else [tool_call("lights", call_id="a")]

    async with Call(brain=FakeBrain(answer), tools=[{"name": "lights"}]) as call:
        await call.say("lights on", pause_ms=600)
        (invoked,) = call.all(ev.FunctionInvoked)
        await call.provider.send_tool_result(invoked.call_id, "ok")
        await call.say("please", pause_ms=3000)
        assert len(call.all(ev.FunctionInvoked)) == 1
        last = call.brain.asked[-1]
        assert [m.role for m in last] == ["user", "assistant", "tool"]
        assert last[0].text == "lights on please"
        assert call.spoken() == "All done."


async def test_a_call_of_a_void_answer_that_has_no_result_is_forgotten() -> None:
    async with Call(
        brain=FakeBrain(lambda m: [tool_call("lights", call_id="a")]), tools=[{"name": "lights"}]
    ) as call:
        await call.say("lights on", pause_ms=600)
        first = call.all(ev.FunctionInvoked)[0]
        await call.say("please", pause_ms=600)
        # What the session tells of a call that it stopped is taken, and changes nothing.
        await call.provider.send_tool_result(first.call_id, "cancelled")
        assert call.brain.asked[-1] == [Message("user", "lights on please")]
        second = call.all(ev.FunctionInvoked)[1]
        assert second.call_id != first.call_id


async def test_interrupt() -> None:
    async with Call(brain=FakeBrain(lambda m: [LONG, 5.0, "More."])) as call:
        await call.provider.interrupt()
        assert not call.all(ev.ResponseCancelled)
        await call.provider.send_text("hello")
        await asyncio.sleep(1.5)
        await call.provider.interrupt()
        n = len(call.told)
        assert [e.reason for e in call.all(ev.ResponseCancelled)] == ["client_cancelled"]
        await asyncio.sleep(10)
        assert len(call.told) == n
        await call.provider.send_text("what?")
        await asyncio.sleep(0.1)
        assert call.brain.asked[1][1].text == "This is a long answer. It has"


async def test_speech_after_an_interrupt_is_another_turn() -> None:
    async with Call(brain=FakeBrain(lambda m: [1.0, "Yes."])) as call:
        await call.say("one", pause_ms=600)
        await call.provider.interrupt()
        await call.say("two", pause_ms=600)
        assert len({e.item_id for e in call.all(ev.VadSpeechStarted)}) == 2
        assert call.heard() == ["one", "two"]


async def test_a_response_that_was_asked_for_in_the_middle_of_a_turn_is_overtaken() -> None:
    async with Call(brain=FakeBrain(lambda m: [2.0, f"About {m[-1].text}."])) as call:
        await call.say("one two")
        await call.provider.send_text("typed")
        await call.say("three", pause_ms=4000)
        assert [e.reason for e in call.all(ev.ResponseCancelled)] == ["turn_detected"]
        assert call.spoken() == "About one two three."
