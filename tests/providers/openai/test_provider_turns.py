"""Spoken turns: who ends them, in which format, what is written down of them, and what interrupts."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from tests.providers.openai.calls import DIALECTS, LONG, call_of, calling, emulated, until
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.signal import speak
from voxengine.errors import AudioError

ANSWERS = {"hello there": "Hi! How can I help?", "tell me more": LONG, "stop": "Very well."}
ULAW, ALAW = AudioFormat("g711_ulaw", 8000), AudioFormat("g711_alaw", 8000)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_spoken_turn_is_written_down_and_answered(dialect: str):
    async with call_of(dialect, ANSWERS) as (call, emulator):
        await call.speak("hello there")
        await call.wait_ends()
        kinds = [type(event) for event in call.events]
        for earlier, later in (
            (ev.VadSpeechStarted, ev.VadSpeechEnded),
            (ev.VadSpeechEnded, ev.TurnDetected),
            (ev.TurnDetected, ev.ResponseStarted),
        ):
            assert kinds.index(earlier) < kinds.index(later)
        assert call.heard() == ["hello there"]
        assert call.of(ev.TranscriptPartial)
        ids = {event.item_id for event in call.of(ev.TurnDetected)}
        ids |= {event.item_id for event in call.of(ev.VadSpeechEnded)}
        assert ids == {call.of(ev.TranscriptCompleted)[0].item_id}
        assert call.answers() == ["Hi! How can I help?"]
        assert call.spoken() == "Hi! How can I help?"
        ended = call.of(ev.VadSpeechEnded)[0]
        # The vendor hears half a second of silence before it says so.
        assert ended.lag_ms == pytest.approx(500, abs=60)
        assert emulator.sessions[0].refused == []
        call.check()


async def test_semantic_turn_detection_waits_for_the_end_of_the_thought():
    async with call_of(
        responses=ANSWERS,
        turn_detection="semantic_vad",
        turn_detection_options={"eagerness": "high"},
    ) as (call, emulator):
        assert emulator.sessions[0].settings.turn_detection["eagerness"] == "high"  # type: ignore[index]
        await call.speak("hello there", then_ms=3000)
        await call.wait_ends()
        assert call.answers() == ["Hi! How can I help?"]


@pytest.mark.parametrize("format", [ULAW, ALAW], ids=str)
@pytest.mark.parametrize("dialect", ["openai", "xai"])
async def test_g711_both_ways(dialect: str, format: AudioFormat):
    async with call_of(dialect, ANSWERS, input_format=format, output_format=format) as (call, _):
        assert call.provider.get_audio_format() == format
        await call.speak("hello there")
        await call.wait_ends()
        assert call.heard() == ["hello there"]
        assert call.spoken() == "Hi! How can I help?"
        chunks = call.of(ev.AudioOutputChunk)
        assert {(c.encoding, c.sample_rate) for c in chunks} == {(format.encoding, 8000)}


async def test_formats_that_the_vendor_lacks_are_not_asked_for():
    wish = AudioFormat("pcm16", 16000)
    async with call_of(responses=ANSWERS, input_format=wish, output_format=wish) as (call, _):
        assert call.provider.get_audio_format() == AudioFormat("pcm16", 24000)
        await call.speak("hello there")
        await call.wait_ends()
        assert call.of(ev.AudioOutputChunk)[0].sample_rate == 24000


async def test_audio_that_is_none():
    async with call_of() as (call, emulator):
        await call.provider.send_audio(b"")
        for audio in (b"\0", b"RIFF\x24\0\0\0WAVEfmt " + bytes(28)):
            with pytest.raises(AudioError):
                await call.provider.send_audio(audio)
        assert emulator.sessions[0].received == ["session.update"]


async def test_answers_in_text_alone():
    async with call_of(responses=ANSWERS, modalities=["text"]) as (call, _):
        await call.speak("hello there")
        await call.wait_ends()
        assert call.answers() == ["Hi! How can I help?"]
        assert call.of(ev.AudioOutputChunk) == []
        call.check()


# -- turns that the application ends


async def test_manual_turns():
    async with call_of(responses=ANSWERS, turn_detection="none") as (call, emulator):
        provider = call.provider
        assert not provider.capabilities.vad_events
        assert not provider.capabilities.auto_response
        assert not provider.capabilities.self_interrupting
        await call.speak("nothing of this counts")
        await provider.clear_audio()
        await call.speak("hello there", then_ms=200)
        assert call.of(ev.VadSpeechStarted) == []
        await provider.commit_audio()
        await call.wait(ev.TurnDetected)
        await asyncio.sleep(3)
        assert call.of(ev.ResponseStarted) == []
        await provider.create_response()
        await call.wait_ends()
        assert call.heard() == ["hello there"]
        assert call.answers() == ["Hi! How can I help?"]
        assert emulator.sessions[0].refused == []


async def test_a_commit_of_nothing_is_an_error_and_the_session_goes_on():
    async with call_of(responses=ANSWERS, turn_detection="none") as (call, _):
        await call.provider.commit_audio()
        error = await call.wait(ev.ErrorGeneral)
        assert (error.code, error.recoverable) == ("input_audio_buffer_commit_empty", True)
        assert await call.ask("hello there") == "Hi! How can I help?"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_vendor_ends_the_turn_and_the_application_asks_for_the_answer(dialect: str):
    options = {"create_response": False}
    async with call_of(dialect, ANSWERS, turn_detection_options=options) as (call, _):
        assert not call.provider.capabilities.auto_response
        assert call.provider.capabilities.vad_events
        await call.speak("hello there", then_ms=3000)
        assert len(call.of(ev.TurnDetected)) == 1
        assert call.of(ev.ResponseStarted) == []
        await call.provider.create_response()
        await call.wait_ends()
        assert call.answers() == ["Hi! How can I help?"]


# -- interruptions


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_user_interrupts(dialect: str):
    async with call_of(dialect, ANSWERS) as (call, emulator):
        await call.provider.send_text("tell me more")
        first = await call.wait(ev.AudioOutputChunk, 3)
        await call.speak("stop")
        await call.wait_ends(2)
        cut, answered = call.ends()
        assert isinstance(cut, ev.ResponseCancelled)
        assert cut.reason == "turn_detected"
        assert isinstance(answered, ev.ResponseCompleted)
        assert call.answers()[1] == "Very well."
        await call.provider.truncate_item(str(first.item_id), 200.0, "")
        item = emulator.sessions[0].conversation.get(str(first.item_id))
        await until(lambda: item.truncated)
        assert item.audio_ms == 200
        assert emulator.sessions[0].refused == []
        call.check()


async def test_the_user_does_not_interrupt_where_that_is_not_wanted():
    options = {"interrupt_response": False, "create_response": False}
    async with call_of(responses=ANSWERS, turn_detection_options=options) as (call, _):
        assert not call.provider.capabilities.self_interrupting
        await call.provider.send_text("tell me more")
        await call.wait(ev.AudioOutputChunk, 3)
        await call.speak("stop")
        await call.wait_ends()
        assert isinstance(call.ends()[0], ev.ResponseCompleted)
        assert call.answers() == [LONG]


async def test_a_request_during_the_vendors_own_answer_waits_for_its_end():
    async with call_of(responses={"hello": "One two three four.", "joke": "Knock."}) as (call, em):
        await call.speak("hello", then_ms=600)
        await call.wait(ev.ResponseStarted)
        await call.provider.create_response(instructions="joke")
        await call.wait_ends(2)
        assert call.answers() == ["One two three four.", "Knock."]
        assert em.sessions[0].refused == []
        call.check()


# -- what is written down


async def test_no_transcripts_where_none_are_wanted():
    async with call_of(responses=ANSWERS, transcription=False) as (call, emulator):
        assert emulator.sessions[0].settings.transcription is None
        await call.speak("hello there")
        await call.wait_ends()
        assert call.heard() == []
        assert call.answers() == ["Hi! How can I help?"]


async def test_no_partials_and_no_speech_events_where_none_are_wanted():
    async with call_of(responses=ANSWERS, partials=False, vad_events=False) as (call, _):
        await call.speak("hello there")
        await call.wait_ends()
        assert call.of(ev.TranscriptPartial) == []
        assert call.of(ev.VadSpeechStarted) == []
        assert call.of(ev.VadSpeechEnded) == []
        assert call.heard() == ["hello there"]


async def test_a_transcript_that_comes_after_the_answer():
    async with (
        emulated(responses=ANSWERS, transcript_delay_ms=8000) as emulator,
        calling(emulator) as call,
    ):
        await call.speak("hello there")
        await call.wait_ends()
        assert call.heard() == []
        done = await call.wait(ev.TranscriptCompleted)
        assert done.text == "hello there"
        assert done.item_id == call.of(ev.TurnDetected)[0].item_id


async def test_a_transcript_that_fails():
    noise = _hum(1200)
    async with (
        emulated(responses="Pardon?", transcripts=[None]) as emulator,
        calling(emulator) as call,
    ):
        await call.stream(noise + silence(1000, call.provider.get_audio_format()))
        failed = await call.wait(ev.TranscriptFailed)
        assert failed.item_id == call.of(ev.TurnDetected)[0].item_id
        assert failed.error
        await call.wait_ends()
        assert call.answers() == ["Pardon?"]


def _hum(ms: int) -> bytes:
    """Loud, and without words."""
    period = b"\x00\x20" * 60 + b"\x00\xe0" * 60
    return period * (ms * 24 // 120)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_partials_grow(dialect: str):
    async with call_of(dialect, ANSWERS) as (call, _):
        await call.speak("tell me more")
        await call.wait(ev.TranscriptCompleted)
        texts = [event.text for event in call.of(ev.TranscriptPartial)]
        assert texts[-1] == "tell me more"
        assert all(b.startswith(a) for a, b in itertools.pairwise(texts))


async def test_two_turns_one_after_the_other():
    async with call_of(responses=ANSWERS) as (call, emulator):
        await call.speak("hello there")
        await call.wait_ends()
        await call.speak("stop")
        await call.wait_ends(2)
        assert call.heard() == ["hello there", "stop"]
        assert call.answers() == ["Hi! How can I help?", "Very well."]
        positions = [event.audio_ms or 0.0 for event in call.of(ev.VadSpeechStarted)]
        assert positions[0] < positions[1]
        assert [i.role for i in emulator.sessions[0].items] == ["user", "assistant"] * 2
        call.check()


async def test_silence_for_too_long_is_answered_and_told():
    options: dict[str, Any] = {"idle_timeout_ms": 6000}
    async with call_of(responses=ANSWERS, turn_detection_options=options) as (call, _):
        await call.ask("hello there")
        await call.stream(silence(2000, call.provider.get_audio_format()))
        await call.wait_ends(2)
        assert any(e.name == "input_audio_buffer.timeout_triggered" for e in call.of(ev.RawEvent))
        assert call.answers()[1] == "Are you still there?"


async def test_audio_may_come_in_pieces_of_any_size():
    async with call_of(responses=ANSWERS) as (call, _):
        format = call.provider.get_audio_format()
        await call.provider.send_audio(speak("hello there", format) + silence(1000, format))
        await call.wait_ends()
        assert call.heard() == ["hello there"]
