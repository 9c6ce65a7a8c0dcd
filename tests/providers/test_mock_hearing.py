"""What the mock hears: words of ours, human voices, silence."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.signal import speak
from voxengine.audio.wav import load_speech
from voxengine.testing import advance

from .mock_helpers import connected, say, stream

RECORDINGS = sorted(Path("tests/data/speech").resolve().glob("*.wav"))


async def test_a_turn_in_full():
    provider, record = await connected(mock_responses={"hello you": "Hi"})
    await say(provider, "hello you")
    await advance(2)
    begun, ended = record.of(ev.VadSpeechStarted)[0], record.of(ev.VadSpeechEnded)[0]
    # Two words of 350 ms, of which the second sounds for 120 ms.
    assert (begun.audio_ms, ended.audio_ms, ended.lag_ms) == (0.0, 480.0, 500.0)
    assert [e.text for e in record.of(ev.TranscriptPartial)] == ["hello", "hello you"]
    assert record.types[-1] == "response_completed"
    heard = [t for t in record.types if t.startswith(("vad", "conv", "transcript"))]
    assert heard == [
        "vad_speech_started",
        "transcript_partial",
        "transcript_partial",
        "vad_speech_ended",
        "conversation_turn_detected",
        "transcript_completed",
    ]
    ids = {e.item_id for e in record.of(ev.TurnDetected)} | {
        e.item_id for e in record.of(ev.TranscriptCompleted)
    }
    assert ids == {begun.item_id}
    assert "".join(e.text for e in record.of(ev.TextOutput)) == "Hi"
    await provider.disconnect()


async def test_events_come_when_the_audio_that_decides_them_does():
    provider, record = await connected()
    await stream(provider, silence(1000, provider.get_audio_format()))
    await say(provider, "hello you")
    # The third loud frame makes it speech; it is sent with the 53rd, at 1.04 s. Silence ends it 500 ms after 1.48 s.
    assert record.at(ev.VadSpeechStarted) == pytest.approx([1.04])
    assert record.of(ev.VadSpeechStarted)[0].audio_ms == 1000.0
    assert record.at(ev.TurnDetected) == pytest.approx([1.96])
    await provider.disconnect()


@pytest.mark.parametrize(
    "format", [AudioFormat("pcm16", 16000), AudioFormat("g711_ulaw", 8000)], ids=str
)
async def test_it_understands_in_every_format(format):
    provider, record = await connected(input_format=format)
    await say(provider, "go forward ten meters")
    await advance(1)
    assert [e.text for e in record.of(ev.TranscriptCompleted)] == ["go forward ten meters"]
    await provider.disconnect()


async def test_frames_of_any_size_are_the_same():
    provider, record = await connected()
    format = provider.get_audio_format()
    audio = speak("go forward ten meters", format) + silence(700, format)
    at = 0
    for size in (2, 7 * 2, 959 * 2, 33 * 2, 10**9):
        await provider.send_audio(audio[at : at + size])
        at += size
    await advance(1)
    assert [e.text for e in record.of(ev.TranscriptCompleted)] == ["go forward ten meters"]
    await provider.disconnect()


async def test_a_pause_within_a_turn():
    provider, record = await connected(pause_ms=200)
    await say(provider, "first", silence_ms=300)
    await say(provider, "second")
    await advance(2)
    assert len(record.of(ev.VadSpeechStarted)) == len(record.of(ev.VadSpeechEnded)) == 2
    assert [e.lag_ms for e in record.of(ev.VadSpeechEnded)] == [200.0, 200.0]
    assert len({e.item_id for e in record.of(ev.VadSpeechStarted)}) == 1
    assert [e.text for e in record.of(ev.TranscriptCompleted)] == ["first second"]
    await provider.disconnect()


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda p: p.stem)
async def test_a_human_voice_is_a_turn(path):
    provider, record = await connected(
        transcripts=["I did not quite get that"],
        silence_ms=900,
        input_format=AudioFormat(sample_rate=16000),
    )
    format = provider.get_audio_format()
    await stream(provider, load_speech(path, format) + silence(1200, format))
    await advance(3)
    assert len(record.of(ev.TurnDetected)) == 1
    assert [e.text for e in record.of(ev.TranscriptCompleted)] == ["I did not quite get that"]
    partials = [e.text for e in record.of(ev.TranscriptPartial)]
    assert partials[-1].startswith("I did not")
    await provider.disconnect()


async def test_noise_and_clicks_are_no_speech():
    provider, record = await connected()
    rng = np.random.default_rng(1)
    noise = (rng.standard_normal(24000 * 3) * 60).astype("<i2")
    noise[::12000] = 30000  # a click every half second
    await stream(provider, noise.tobytes())
    assert record.types == []
    await provider.disconnect()


async def test_scripted_transcripts_rotate_and_may_fail():
    provider, record = await connected(
        transcripts=["one", None], capabilities={"auto_response": False}
    )
    tone = (np.sin(np.arange(24000) / 10) * 8000).astype("<i2").tobytes()
    for _ in range(3):
        await stream(provider, tone + silence(700, provider.get_audio_format()))
    assert [e.text for e in record.of(ev.TranscriptCompleted)] == ["one", "one"]
    (failed,) = record.of(ev.TranscriptFailed)
    assert failed.error
    await provider.disconnect()


async def test_a_late_transcript_comes_after_the_answer_began():
    provider, record = await connected(transcript_delay_ms=300)
    await say(provider, "hello")
    await advance(1)
    assert record.types.index("response_started") < record.types.index("transcript_completed")
    await provider.disconnect()


async def test_barging_in_stops_the_answer():
    provider, record = await connected(realtime_factor=1.0)
    await provider.send_text("a rather long text to be repeated word for word")
    await advance(0.5)
    await say(provider, "stop")
    (cancelled,) = record.of(ev.ResponseCancelled)
    assert cancelled.reason == "turn_detected"
    assert (
        record.at(ev.ResponseCancelled) == record.at(ev.VadSpeechStarted) == pytest.approx([0.54])
    )
    await advance(2)
    assert "".join(e.text for e in record.of(ev.TextOutput)).endswith("You said: stop")
    await provider.disconnect()


async def test_turns_that_the_application_ends():
    provider, record = await connected(turn_detection="none")
    await say(provider, "hello")
    assert record.types == []
    await provider.commit_audio()
    await advance(1)
    assert record.types == ["conversation_turn_detected", "transcript_completed"]
    await provider.create_response()
    await advance(2)
    assert "".join(e.text for e in record.of(ev.TextOutput)) == "You said: hello"
    await say(provider, "forget it")
    await provider.clear_audio()
    await say(provider, "remember")
    await provider.commit_audio()
    await advance(0)
    assert record.of(ev.TranscriptCompleted)[-1].text == "remember"
    await provider.disconnect()


async def test_a_switch_to_turns_by_hand_and_back():
    provider, record = await connected()
    await provider.update_session(turn_detection="none")
    await say(provider, "hello")
    assert not record.of(ev.TurnDetected)
    await provider.update_session(turn_detection="server_vad")
    await say(provider, "hello again")
    assert [e.text for e in record.of(ev.TranscriptCompleted)] == ["hello again"]
    await provider.disconnect()


async def test_minutes_of_silence_cost_no_memory():
    provider, _ = await connected(record=False)
    quiet = silence(60_000, provider.get_audio_format())
    for _ in range(10):
        await provider.send_audio(quiet)
    assert provider._listener is not None
    assert provider._listener._ears.held_ms <= 700
    assert not provider.received_audio
    await provider.disconnect()
    assert asyncio.get_running_loop().time() == 0
