"""Whole calls to OpenAI, Azure OpenAI, xAI and a compatible endpoint, as an application sees them."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.vendors.call import DIALECTS, LONG, Wire, call_to
from voxengine import events as ev

each_dialect = pytest.mark.parametrize("dialect", DIALECTS)


# -- speech


@each_dialect
async def test_a_turn_is_heard_and_answered_aloud(dialect: str):
    async with call_to(dialect) as call:
        assert await call.ask("good morning") == "You said: good morning"
        assert call.log == [("user", "good morning"), ("assistant", "You said: good morning")]
        kinds = [
            ev.VadSpeechStarted,
            ev.VadSpeechEnded,
            ev.TurnDetected,
            ev.ResponseStarted,
            ev.AudioOutputStarted,
            ev.ResponseCompleted,
            ev.AudioOutputStopped,
        ]
        assert [type(e) for e in call.events if type(e) in kinds] == kinds
        partials = [e.text for e in call.of(ev.TranscriptPartial)]
        assert partials[-1] == "good morning"
        assert all("good morning".startswith(text) for text in partials)
        (answer,) = call.answers
        assert (answer.heard_ms, answer.status) == (answer.audio_ms, "completed")
        assert answer.turn_id == call.engine.conversation.messages[0].id
        assert await call.ask("and again") == "You said: and again"
        call.check()
        call.check_vendor()
        assert call.of(ev.ConversationInterrupted) == []
        assert call.of(ev.ErrorGeneral) == []


@each_dialect
async def test_a_transcript_that_comes_after_the_answer_stands_before_it(dialect: str):
    async with call_to(dialect, vendor_settings={"transcript_delay_ms": 4000}) as call:
        await call.speak("good morning")
        await call.wait(ev.ResponseCompleted)
        assert call.of(ev.TranscriptCompleted) == []
        assert [role for role, _ in call.log] == ["user", "assistant"]
        done = await call.wait(ev.TranscriptCompleted)
        assert call.events.index(done) > call.events.index(call.of(ev.ResponseCompleted)[0])
        assert call.log == [("user", "good morning"), ("assistant", "You said: good morning")]
        await call.quiet()
        call.check()


@each_dialect
@pytest.mark.parametrize(
    ("given", "taken"),
    [(8000, 8000), (16000, 16000), (48000, 48000), (16000, 24000), ("g711_ulaw", "g711_alaw")],
)
async def test_formats_of_the_application(dialect: str, given: object, taken: object):
    async with call_to(dialect, input_format=given, output_format=taken) as call:
        assert await call.ask("good morning") == "You said: good morning"
        assert {(e.encoding, e.sample_rate) for e in call.of(ev.AudioOutputChunk)} == {
            (
                call.engine.config.output_format.encoding,
                call.engine.config.output_format.sample_rate,
            )
        }
        (answer,) = call.answers
        vendor_ms = call.vendor_item(answer.id).audio_ms
        assert answer.audio_ms == pytest.approx(vendor_ms, abs=2)
        call.check()
        call.check_vendor()


async def test_binary_audio():
    async with call_to("xai", metadata={"transport": "binary"}) as call:
        assert await call.ask("good morning") == "You said: good morning"
        assert "input_audio_buffer.append" not in call.session.received
        call.check()


@each_dialect
async def test_answers_in_text(dialect: str):
    async with call_to(dialect, modalities=["text"]) as call:
        await call.speak("good morning")
        await call.quiet()
        assert call.of(ev.AudioOutputChunk) == []
        assert "".join(e.text for e in call.of(ev.TextOutput)) == "You said: good morning"
        assert call.log == [("user", "good morning"), ("assistant", "You said: good morning")]
        call.check()
        call.check_vendor()


# -- barge-in


@each_dialect
async def test_a_barge_in_cuts_the_answer_to_what_was_heard(dialect: str):
    async with call_to(dialect) as call:
        await call.speak("tell me more")
        await call.wait(ev.AudioOutputStarted)
        await asyncio.sleep(3.1)
        await call.speak("stop please")
        await call.quiet()
        (interrupted,) = call.of(ev.ConversationInterrupted)
        assert interrupted.reason == "speech"
        cut = call.answers[0]
        assert cut.id == interrupted.item_id
        assert cut.status == "incomplete"
        heard = call.ear.words(cut.id)
        assert LONG.startswith(heard)
        assert 6 <= len(heard.split()) <= 12
        assert cut.text == interrupted.heard_text
        assert cut.text + cut.unheard_text == LONG
        assert len(cut.text.split()) >= len(heard.split()) - 1
        item = call.vendor_item(cut.id)
        assert item.truncated
        assert item.audio_ms == pytest.approx(cut.heard_ms, abs=1)
        assert [a.text for a in call.answers[1:]] == ["You said: stop please"]
        call.check()
        call.check_vendor()


@each_dialect
async def test_an_answer_that_has_come_and_is_still_playing_is_cut(dialect: str):
    async with call_to(dialect, vendor_settings={"pace": 50.0}) as call:
        await call.speak("tell me more")
        await call.wait(ev.ResponseCompleted)
        await asyncio.sleep(2.0)
        await call.speak("stop please")
        await call.quiet()
        (interrupted,) = call.of(ev.ConversationInterrupted)
        cut = call.answers[0]
        item = call.vendor_item(cut.id)
        assert item.audio_ms == pytest.approx(interrupted.heard_ms, abs=1)
        assert call.of(ev.ResponseCancelled) == []
        call.check()
        call.check_vendor()


async def test_no_more_is_cut_than_has_come():
    """The listener's device says that it has played more than there is."""
    async with call_to() as call:
        await call.speak("tell me more")
        await call.wait(ev.AudioOutputStarted)
        await asyncio.sleep(1.0)
        item_id = call.of(ev.AudioOutputChunk)[0].item_id
        assert item_id is not None
        call.engine.acknowledge_playback(item_id, 60_000)
        await call.engine.interrupt()
        await call.quiet()
        assert call.session.refused == []
        assert call.vendor_item(item_id).audio_ms <= call.ear._format.duration_ms(
            sum(len(e.audio_data) for e in call.of(ev.AudioOutputChunk))
        )


@each_dialect
async def test_the_application_interrupts(dialect: str):
    async with call_to(dialect) as call:
        await call.speak("tell me more")
        await call.wait(ev.AudioOutputStarted)
        await asyncio.sleep(2.0)
        await call.engine.interrupt()
        await call.quiet()
        (interrupted,) = call.of(ev.ConversationInterrupted)
        assert interrupted.reason == "request"
        (cut,) = call.answers
        assert call.vendor_item(cut.id).audio_ms == pytest.approx(cut.heard_ms, abs=1)
        assert "response.cancel" in call.session.received
        call.check()
        call.check_vendor()
        assert await call.ask("good morning") == "You said: good morning"


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
async def test_a_barge_in_at_another_rate_is_cut_at_the_same_place(rate: int):
    async with call_to(input_format=rate, output_format=rate) as call:
        await call.speak("tell me more")
        await call.wait(ev.AudioOutputStarted)
        await asyncio.sleep(3.1)
        await call.speak("stop please")
        await call.quiet()
        cut = call.answers[0]
        assert call.vendor_item(cut.id).audio_ms == pytest.approx(cut.heard_ms, abs=1)
        call.check()
        call.check_vendor()


# -- tools


@each_dialect
async def test_a_tool_is_called_and_its_result_is_spoken(dialect: str):
    async with call_to(dialect) as call:
        assert await call.ask("look it up") == "found it"
        assert call.looked == ["it"]
        kinds = [(i.kind, i.role) for i in call.engine.conversation]
        assert kinds == [
            ("message", "user"),
            ("function_call", "assistant"),
            ("function_output", "tool"),
            ("message", "assistant"),
        ]
        call.check()
        call.check_vendor()


@each_dialect
async def test_parallel_calls(dialect: str):
    uses = [{"name": "look", "arguments": {"what": what}} for what in ("sun", "moon", "stars")]
    answers = {"look around": {"tools": uses, "then": "there are {output}"}}
    async with call_to(dialect, answers) as call:
        assert await call.ask("look around") == "there are sun, moon, stars"
        assert sorted(call.looked) == ["moon", "stars", "sun"]
        assert call.session.received.count("response.create") == 1
        call.check()
        call.check_vendor()


async def test_a_call_that_follows_a_call():
    uses = [{"name": "look", "arguments": {"what": what}} for what in ("sun", "moon")]
    answers = {"look around": {"tools": uses, "then": "there is {output}"}}
    async with call_to(responses=answers, metadata={"parallel_tool_calls": False}) as call:
        assert await call.ask("look around") == "there is moon"
        assert call.looked == ["sun", "moon"]
        call.check()
        call.check_vendor()


@each_dialect
async def test_words_before_a_call_are_heard_too(dialect: str):
    answers = {"look it up": {"text": "one moment", "tool": "look", "then": "found {output}"}}
    async with call_to(dialect, answers) as call:
        assert await call.ask("look it up") == "one moment found it"
        assert [a.text for a in call.answers] == ["one moment", "found it"]
        call.check()
        call.check_vendor()


# -- the wire


async def test_each_frame_is_sent_as_it_comes():
    wire = Wire()
    async with call_to(vendor_settings={"on_event": wire}, frame_ms=20) as call:
        await call.ask("good morning")
        pieces = wire.audio[0]
        assert all(len(piece) == 960 for _, piece in pieces)
        assert wire.words(0) == "good morning"


async def test_dense_frames():
    wire = Wire()
    async with call_to(vendor_settings={"on_event": wire}, chunking="density", frame_ms=20) as call:
        assert await call.ask("good morning") == "You said: good morning"
        assert all(len(piece) == 4800 for _, piece in wire.audio[0])


async def test_the_log_is_json():
    async with call_to() as call:
        await call.ask("look it up")
        items = json.loads(call.engine.conversation.to_json())["items"]
        assert [item["kind"] for item in items] == [i.kind for i in call.engine.conversation]
