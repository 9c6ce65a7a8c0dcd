"""Turns and answers: their order, their times, and what they cost."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from tests.cascade.fakes import Call, FakeBrain, noise, silence
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.conversation import Item
from voxengine.errors import AudioError, ConnectionError, MessageError
from voxengine.providers.cascade.parts import BrainUsage, Message


async def test_a_turn_is_heard_and_answered_in_order() -> None:
    async with Call() as call:
        await call.say("go forward ten meters", pause_ms=2500)
        assert call.heard() == ["go forward ten meters"]
        assert call.spoken() == "You said go forward ten meters."
        assert [n for n in call.names() if n != "transcript_partial"] == [
            "connection_starting",
            "connection_established",
            "vad_speech_started",
            "vad_speech_ended",
            "conversation_turn_detected",
            "transcript_completed",
            "response_started",
            "text_chunk",
            "response_completed",
            "usage_updated",
        ]


async def test_the_times_of_a_turn() -> None:
    async with Call() as call:
        await call.send(silence(1000))
        start = asyncio.get_running_loop().time()
        await call.say("hello world", pause_ms=1000)
        started = call.all(ev.VadSpeechStarted)[0]
        assert started.audio_ms == pytest.approx(1000, abs=32)
        assert call.at(ev.VadSpeechStarted) - start == pytest.approx(0.064, abs=0.053)
        ended = call.all(ev.VadSpeechEnded)[0]
        assert ended.audio_ms == pytest.approx(1320, abs=32)
        at = call.at(ev.VadSpeechEnded) - start
        assert at - ended.lag_ms / 1000 == pytest.approx(ended.audio_ms / 1000 - 1, abs=0.001)
        # 300 ms of silence, whatever the recogniser took of it.
        assert call.at(ev.TurnDetected) - start == pytest.approx(0.344 + 0.3, abs=0.02)
        assert call.at(ev.AudioOutputChunk) - call.at(ev.TurnDetected) == pytest.approx(
            0.02, abs=0.001
        )


async def test_a_slow_recogniser_decides_when_it_is_done() -> None:
    async with Call(stt_delay=0.8) as call:
        await call.say("hello", pause_ms=2000)
        assert call.at(ev.TurnDetected) - call.at(ev.VadSpeechEnded) == pytest.approx(
            0.8, abs=0.001
        )


async def test_the_words_decide_how_long_the_wait_is() -> None:
    async with Call() as call:
        await call.say("one,", pause_ms=600)
        assert not call.all(ev.TurnDetected)
        await call.say("two", pause_ms=1000)
        assert call.heard() == ["one, two"]
        assert len({e.item_id for e in call.all(ev.VadSpeechStarted)}) == 1
        await asyncio.sleep(3)
        await call.say("three", pause_ms=1000)
        pause, ended = call.turn.pauses[0]
        assert not ended
        assert pause == pytest.approx(600, abs=64)
        assert call.turn.pauses[1][1] is True
        assert len({e.item_id for e in call.all(ev.VadSpeechStarted)}) == 2


async def test_sentences_are_spoken_while_the_brain_still_writes() -> None:
    brain = FakeBrain(lambda _: ["First one. ", "Then", 1.0, " the second. ", 1.0, "And a third."])
    async with Call(brain=brain) as call:
        await call.say("hello", pause_ms=4000)
        texts = call.all(ev.TextOutput)
        assert [e.text for e in texts] == ["First one.", " Then the second.", " And a third."]
        assert [e.is_partial for e in texts] == [True, True, False]
        asked = call.at(ev.ResponseStarted)
        assert [round(t - asked, 2) for t, _ in call.tts.said] == [0.0, 1.0, 2.0]
        # Each is placed exactly where its audio is.
        ends = [e.audio_end_ms for e in texts]
        assert [e.audio_start_ms for e in texts] == [0.0, *ends[:-1]]
        chunks = call.all(ev.AudioOutputChunk)
        assert max(len(c.audio_data) for c in chunks) <= 4800
        assert (
            sum(len(c.audio_data) for c in chunks) / 48
            == ends[-1]
            == sum(len(t.strip()) * 50 for t in (e.text for e in texts))
        )
        assert [e.stage for e in call.all(ev.TimingStage)] == [
            "first_token",
            "first_sentence",
            "first_audio",
        ]


async def test_an_end_that_comes_late_is_told_by_an_empty_text() -> None:
    async with Call(brain=FakeBrain(lambda _: ["One. ", "Two.", " ", 1.0])) as call:
        await call.say("hello", pause_ms=3000)
        assert [(e.text, e.is_partial) for e in call.all(ev.TextOutput)] == [
            ("One.", True),
            (" Two.", True),
            (" ", False),
        ]
    async with Call(brain=FakeBrain(lambda _: ["One. \n\n", "Two", "\n\nThree. ", 1.0])) as call:
        await call.say("hello", pause_ms=3000)
        assert call.spoken() == "One. \n\nTwo\n\nThree. "
        assert not call.all(ev.TextOutput)[-1].is_partial


async def test_speech_is_not_made_far_ahead_of_the_ear() -> None:
    brain = FakeBrain(lambda _: [f"This is sentence number {n} of many. " for n in range(40)])
    async with Call(brain=brain, metadata={"ahead_s": 5}) as call:
        await call.say("hello", pause_ms=500)
        await call.send(silence(10_000))
        made = sum(len(e.audio_data) for e in call.all(ev.AudioOutputChunk)) / 48_000
        elapsed = asyncio.get_running_loop().time() - call.at(ev.AudioOutputChunk)
        assert elapsed + 4 < made < elapsed + 5 + 2
        assert not call.all(ev.ResponseCompleted)


async def test_a_noise_is_not_answered() -> None:
    async with Call() as call:
        await call.send(noise(200) + silence(1500))
        assert call.heard() == [""]
        assert not call.all(ev.ResponseStarted)
        assert not call.all(ev.TurnDetected)
        assert not call.brain.asked
        await call.send(silence(3000))
        await call.say("hello", pause_ms=1000)
        assert call.heard() == ["", "hello"]
        first, second = (e.item_id for e in call.all(ev.VadSpeechStarted))
        assert first != second


async def test_a_word_that_was_taken_for_a_noise_is_heard_with_the_next() -> None:
    async with Call() as call:
        await call.send(noise(200) + silence(800))
        await call.say("hello", pause_ms=1000)
        assert call.heard() == ["", "hello"]
        first, second = (e.item_id for e in call.all(ev.VadSpeechStarted))
        assert first == second
        assert call.stt.done[-1][1] > 0.4


async def test_a_click_is_nothing() -> None:
    async with Call() as call:
        await call.send(noise(20) + silence(1000))
        assert not call.all(ev.VadSpeechStarted)
        assert call.stt.begun == 0


async def test_silence_costs_nothing() -> None:
    async with Call() as call:
        await call.provider.send_audio(silence(300_000))
        await call.provider.send_audio(silence(300_000))
        assert call.stt.begun == 0
        usage = await call.provider.get_usage()
        assert usage is not None
        assert usage["input_audio_seconds"] == 600


async def test_a_microphone_that_falls_silent_does_not_hang_the_call() -> None:
    async with Call() as call:
        await call.say("hello", pause_ms=0)  # not a frame of silence follows
        stopped = asyncio.get_running_loop().time()
        await asyncio.sleep(2)
        assert call.heard() == ["hello"]
        assert call.at(ev.TurnDetected) - stopped == pytest.approx(0.35, abs=0.06)
        assert call.spoken() == "You said hello."


async def test_a_microphone_that_falls_silent_in_the_pause() -> None:
    async with Call(wait=800) as call:
        await call.say("hello", pause_ms=200)
        stopped = asyncio.get_running_loop().time()
        await asyncio.sleep(2)
        assert call.at(ev.TurnDetected) - stopped == pytest.approx(0.6, abs=0.04)


async def test_late_packets_do_not_end_a_turn() -> None:
    async with Call() as call:
        audio = call.voice.say("one two three four")
        await call.send(audio[: len(audio) // 2])
        await asyncio.sleep(0.2)
        # What was late comes in a burst.
        await call.send(audio[len(audio) // 2 :] + silence(200), chunk_ms=1)
        await call.send(silence(800))
        assert call.heard() == ["one two three four"]
        assert len(call.all(ev.TurnDetected)) == 1


async def test_large_chunks_are_the_same_as_small_ones() -> None:
    async with Call() as call:
        await call.provider.send_audio(call.voice.say("one two three") + silence(5000))
        await asyncio.sleep(2)
        assert call.heard() == ["one two three"]


async def test_calls_that_overlap_keep_their_order() -> None:
    async with Call() as call:
        words = [f"word{n}" for n in range(12)]
        chunks = [call.voice.say(word, word_ms=320) for word in words]
        await asyncio.gather(*(call.provider.send_audio(c + bytes(0)) for c in chunks))
        await asyncio.sleep(2)
        assert call.heard() == [" ".join(words)]


async def test_a_large_chunk_lets_others_run() -> None:
    async with Call() as call:
        task = asyncio.ensure_future(call.provider.send_audio(silence(60_000)))
        turns = 0
        while not task.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns > 50


async def test_a_very_long_turn_is_cut_and_nothing_is_lost() -> None:
    async with Call(metadata={"segment_s": 5}, partials=False) as call:
        words = [f"w{n}" for n in range(100)]
        await call.send(b"".join(call.voice.say(w, word_ms=256) + silence(64) for w in words))
        await call.send(silence(1000))
        assert call.heard() == [" ".join(words)]
        assert max(seconds for _, seconds, _ in call.stt.done) <= 6


async def test_partials_grow_and_never_change() -> None:
    async with Call() as call:
        await call.send(
            call.voice.say("one two three four five six seven eight", word_ms=320) + silence(800)
        )
        texts = [e.text for e in call.all(ev.TranscriptPartial)]
        assert len(texts) >= 2
        for one, next_ in pairwise(texts):
            assert next_.startswith(one + " ")


async def test_what_is_not_wanted_is_not_made() -> None:
    async with Call(partials=False, transcription=False, vad_events=False) as call:
        await call.send(call.voice.say("one two three four five six", word_ms=320) + silence(1000))
        assert call.stt.partials == 0
        told = set(call.names())
        assert not told & {
            "transcript_partial",
            "transcript_completed",
            "vad_speech_started",
            "vad_speech_ended",
        }
        assert call.spoken() == "You said one two three four five six."
        await call.send(noise(300) + silence(1000))
        assert "transcript_completed" not in call.names()


async def test_text_only() -> None:
    async with Call(modalities=["text"]) as call:
        assert not call.provider.capabilities.audio_output
        await call.say("hello", pause_ms=1000)
        assert call.spoken() == "You said hello."
        assert not call.all(ev.AudioOutputChunk)
        assert not call.tts.said
        # What was read was perceived: this is another turn.
        await call.say("again", pause_ms=1000)
        assert call.heard() == ["hello", "again"]


async def test_one_response_in_text() -> None:
    async with Call() as call:
        await call.provider.add_conversation_history([Item(id="u", text="hi", status="completed")])
        await call.provider.create_response(["text"])
        await asyncio.sleep(1)
        assert call.spoken() == "You said hi."
        assert not call.tts.said
        with pytest.raises(MessageError, match="video"):
            await call.provider.create_response(["video"])


async def test_typed_text() -> None:
    async with Call(instructions="Be kind.") as call:
        await call.provider.send_text("note this", role="system")
        await call.provider.send_text("hello")
        await asyncio.sleep(2)
        assert call.brain.asked == [
            [
                Message("system", "Be kind."),
                Message("system", "note this"),
                Message("user", "hello"),
            ]
        ]
        with pytest.raises(MessageError):
            await call.provider.send_text("  ")
        with pytest.raises(MessageError):
            await call.provider.send_text("x", role="robot")
        assert call.provider.is_connected


async def test_typed_text_overtakes_the_response() -> None:
    async with Call(brain=FakeBrain(lambda m: [1.0, f"About {m[-1].text}."])) as call:
        await call.provider.send_text("one")
        await asyncio.sleep(0.5)
        await call.provider.send_text("two")
        await asyncio.sleep(2)
        assert [e.reason for e in call.all(ev.ResponseCancelled)] == ["client_cancelled"]
        assert call.spoken() == "About two."
        assert call.brain.closed == 2


async def test_only_one_response_at_a_time() -> None:
    async with Call(brain=FakeBrain(lambda _: [1.0, "Yes."])) as call:
        await call.provider.create_response()
        with pytest.raises(MessageError) as caught:
            await call.provider.create_response()
        assert caught.value.code == "response_active"
        with pytest.raises(MessageError):
            await call.provider.generate_tts("now")
        await asyncio.sleep(2)
        assert len(call.all(ev.ResponseCompleted)) == 1


async def test_instructions_for_one_response() -> None:
    async with Call(instructions="Be kind.") as call:
        await call.provider.create_response(instructions="Greet them.")
        await asyncio.sleep(2)
        await call.provider.create_response()
        await asyncio.sleep(2)
        assert [asked[0].text for asked in call.brain.asked] == [
            "Be kind.\n\nGreet them.",
            "Be kind.",
        ]


async def test_say() -> None:
    async with Call() as call:
        await call.provider.generate_tts("Welcome. It is 5 o'clock.")
        await asyncio.sleep(3)
        assert call.spoken() == "Welcome. It is 5 o'clock."
        assert not call.brain.asked
        await call.provider.send_text("what did you say?")
        await asyncio.sleep(0.1)
        assert call.brain.asked[0][0] == Message("assistant", "Welcome. It is 5 o'clock.")


async def test_manual_turns() -> None:
    async with Call(turn_detection="none") as call:
        assert not call.provider.capabilities.auto_response
        await call.say("hello", pause_ms=1500)
        await call.say("world", pause_ms=1500)
        assert "vad_speech_started" not in call.names()
        assert not call.all(ev.ResponseStarted)
        await call.provider.commit_audio()
        await call.provider.create_response()
        await asyncio.sleep(2)
        assert [n for n in call.names() if n != "transcript_partial"][2:] == [
            "conversation_turn_detected",
            "transcript_completed",
            "response_started",
            "text_chunk",
            "response_completed",
            "usage_updated",
        ]
        assert call.heard() == ["hello world"]
        assert call.spoken() == "You said hello world."
        assert call.stt.done[-1][1] < 3


async def test_a_manual_turn_is_waited_for_by_its_answer() -> None:
    async with Call(turn_detection="none", stt_delay=1.0) as call:
        await call.say("hello")
        await call.provider.commit_audio()
        await call.provider.create_response()
        await asyncio.sleep(4)
        assert call.brain.asked == [[Message("user", "hello")]]
        assert call.at(ev.TextOutput) - call.at(ev.ResponseStarted) == pytest.approx(1.02, abs=0.01)


async def test_a_manual_turn_without_a_word() -> None:
    async with Call(turn_detection="none") as call:
        with pytest.raises(MessageError):
            await call.provider.commit_audio()
        await call.send(noise(300))
        await call.provider.commit_audio()
        await call.provider.create_response()
        await asyncio.sleep(1)
        assert call.heard() == [""]
        completed = call.all(ev.ResponseCompleted)[0]
        assert (completed.status, completed.reason) == ("incomplete", "no_speech")
        await call.send(silence(300))
        await call.provider.commit_audio()
        assert call.heard() == ["", ""]
        with pytest.raises(MessageError):
            await call.provider.commit_audio()


async def test_what_was_said_can_be_cleared() -> None:
    async with Call(turn_detection="none") as call:
        await call.say("forget this", pause_ms=300)
        await call.provider.clear_audio()
        await call.say("hello", pause_ms=300)
        await call.provider.commit_audio()
        await asyncio.sleep(1)
        assert call.heard() == ["hello"]


async def test_a_turn_can_be_ended_early() -> None:
    async with Call(wait=5000) as call:
        await call.say("hello", pause_ms=200)
        await call.provider.commit_audio()
        await asyncio.sleep(1)
        assert call.heard() == ["hello"]
        assert call.spoken() == "You said hello."
        with pytest.raises(MessageError):
            await call.provider.commit_audio()


@pytest.mark.parametrize(
    "format",
    [
        AudioFormat(sample_rate=24000),
        AudioFormat(sample_rate=8000),
        AudioFormat(sample_rate=48000),
        AudioFormat("g711_ulaw", 8000),
        AudioFormat("g711_alaw", 8000),
    ],
    ids=str,
)
async def test_every_input_format_is_heard(format: AudioFormat) -> None:
    import numpy as np

    from voxengine.audio.resample import Converter

    tone = (np.sin(np.arange(16000 * 1) / 16000 * 2 * np.pi * 440) * 8000).astype("<i2").tobytes()
    audio = Converter(AudioFormat(sample_rate=16000), format).process(tone + silence(1000))
    async with Call(input_format=format) as call:
        assert call.provider.get_audio_format() == format
        step = format.n_bytes(20)
        for start in range(0, len(audio), step):
            await asyncio.sleep(0.02)
            await call.provider.send_audio(audio[start : start + step])
        ended = call.all(ev.VadSpeechEnded)[0]
        assert ended.audio_ms == pytest.approx(1000, abs=64)
        assert call.stt.done[-1][1] == pytest.approx(1.1, abs=0.1)


async def test_bad_audio_is_refused_and_the_call_goes_on() -> None:
    async with Call() as call:
        for bad in (b"\0", b"\0" * (16 * 1024 * 1024), b"RIFF\0\0\0\0WAVE"):
            with pytest.raises(AudioError):
                await call.provider.send_audio(bad)
        with pytest.raises(AudioError):
            await call.provider.send_audio("text")  # type: ignore[arg-type]
        await call.provider.send_audio(b"")
        await call.say("hello", pause_ms=1000)
        assert call.heard() == ["hello"]


async def test_nothing_goes_before_connect_or_after_disconnect() -> None:
    call = Call()
    with pytest.raises(ConnectionError):
        await call.provider.send_audio(silence(20))
    async with call:
        pass
    with pytest.raises(ConnectionError):
        await call.provider.send_text("hello")
    with pytest.raises(ConnectionError):
        await call.provider.connect()
    await call.provider.disconnect()
    assert call.names() == ["connection_starting", "connection_established", "connection_closed"]


async def test_disconnect_in_the_middle_of_everything() -> None:
    brain = FakeBrain(lambda _: [f"Sentence {n}. " for n in range(100)])
    async with Call(brain=brain, metadata={"ahead_s": 1}) as call:
        await call.provider.send_text("hello")
        await call.say("one two three four five")
        await call.provider.send_text("again")
        await asyncio.sleep(0.1)
    assert call.names()[-1] == "connection_closed"
    started, cancelled = call.all(ev.ResponseStarted), call.all(ev.ResponseCancelled)
    assert {e.response_id for e in cancelled} <= {e.response_id for e in started}
    assert len(cancelled) == len(started)
    assert brain.closed == len(brain.asked)


async def test_usage() -> None:
    brain = FakeBrain(lambda _: ["Hello there.", BrainUsage("tiny", 100, 20, 7)])
    async with Call(brain=brain) as call:
        await call.say("hello", pause_ms=2000)
        (usage,) = call.all(ev.UsageUpdated)
        assert (usage.model, usage.input_text_tokens, usage.cached_text_tokens) == ("tiny", 100, 20)
        assert usage.output_text_tokens == 7
        assert usage.characters == 12
        assert usage.output_audio_seconds == pytest.approx(0.6)
        assert 0.4 < usage.input_audio_seconds < 0.6
        assert await call.provider.estimate_cost() == 0.0
    assert sum(e.input_audio_seconds for e in call.all(ev.UsageUpdated)) == pytest.approx(2.16)
