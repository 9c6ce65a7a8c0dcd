"""Spoken turns: voice activity, commits, transcripts, barge-in."""

from __future__ import annotations

import asyncio
import base64

import pytest

from tests.emulators.wire import (
    PCM24,
    audio_of,
    connected,
    heard,
    of,
    position,
    silence,
    types,
)
from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import duration_ms, speak, timeline
from voxengine.testing.emulators.openai import OpenAIEmulator
from voxengine.testing.emulators.voice import SignalVoice

TRANSCRIBED = {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}


def vad(**settings):
    return {"input": {"turn_detection": {"type": "server_vad", **settings}}}


async def test_a_spoken_turn_from_its_first_word_to_the_last_of_the_answer():
    async with (
        OpenAIEmulator(responses={"hello there": "Hi! How are you?"}) as emulator,
        connected(emulator) as wire,
    ):
        await wire.update(audio=TRANSCRIBED)
        await wire.say("hello there", live=True)
        seen = await wire.until("response.done")
        assert types(seen) == [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "response.created",
            "rate_limits.updated",
            "conversation.item.input_audio_transcription.delta",
            "conversation.item.input_audio_transcription.completed",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "response.output_audio_transcript.delta",
            "response.output_audio.delta",
            *["response.output_audio_transcript.delta", "response.output_audio.delta"] * 3,
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "response.output_item.done",
            "conversation.item.done",
            "response.done",
        ]
        ids = {e.get("item_id") or e["item"]["id"] for e in seen[:5]}
        assert len(ids) == 1
        assert (
            of(seen, "conversation.item.input_audio_transcription.completed")[0]["transcript"]
            == "hello there"
        )
        assert heard(seen) == "Hi! How are you?"
        assert (
            of(seen, "response.output_audio_transcript.done")[0]["transcript"] == "Hi! How are you?"
        )
        response = seen[-1]["response"]
        assert response["status"] == "completed"
        assert response["output"][0]["content"] == [
            {"type": "output_audio", "transcript": "Hi! How are you?"}
        ]
        assert [len(audio_of([e])) for e in of(seen, "response.output_audio.delta")][:3] == [
            4800
        ] * 3


async def test_positions_are_milliseconds_of_all_input():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        await wire.update(
            audio=vad(prefix_padding_ms=200, silence_duration_ms=400, create_response=False)
        )
        await wire.audio(silence(1000))
        await wire.say("one", pause_ms=1000)
        first = await wire.until("conversation.item.done")
        assert first[0]["audio_start_ms"] == 800
        spoken = 1000 + duration_ms("one")
        assert (
            spoken
            <= of(first, "input_audio_buffer.speech_stopped")[0]["audio_end_ms"]
            <= spoken + 440
        )
        sent = 1000 + duration_ms("one") + 1000
        await wire.say("two")
        second = await wire.until("conversation.item.done")
        assert abs(second[0]["audio_start_ms"] - (sent - 200)) <= 40
        # The item holds just that: from the padding before the speech to the silence after it.
        item = await wire.ask(
            "conversation.item.retrieve",
            "conversation.item.retrieved",
            item_id=second[0]["item_id"],
        )
        kept = PCM24.duration_ms(
            len(
                audio_of(
                    [
                        {
                            "type": "response.output_audio.delta",
                            "delta": item["item"]["content"][0]["audio"],
                        }
                    ]
                )
            )
        )
        assert (
            kept
            == of(second, "input_audio_buffer.speech_stopped")[0]["audio_end_ms"]
            - second[0]["audio_start_ms"]
        )


async def test_the_silence_that_ends_a_turn_is_as_long_as_was_asked():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        await wire.update(audio=vad(silence_duration_ms=1500))
        await wire.audio(
            speak("hello", PCM24) + silence(1000) + speak("again", PCM24) + silence(2000)
        )
        seen = await wire.until("response.done")
        assert len(of(seen, "input_audio_buffer.speech_started")) == 1
        assert heard(seen) == "You said: hello again"


async def test_a_higher_threshold_does_not_hear_quiet_speech():
    quiet = memoryview(speak("psst", PCM24)).cast("h")
    whisper = b"".join(int(sample * 0.05).to_bytes(2, "little", signed=True) for sample in quiet)
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        for threshold, hears in ((0.9, False), (0.3, True)):
            await wire.update(audio=vad(threshold=threshold, create_response=False))
            await wire.audio(whisper + silence(1000))
            await wire.send("input_audio_buffer.clear")
            seen = await wire.until("input_audio_buffer.cleared")
            assert bool(of(seen, "input_audio_buffer.speech_started")) == hears


async def test_turns_by_hand():
    async with (
        OpenAIEmulator(responses={"left right": "Straight on"}) as emulator,
        connected(emulator) as wire,
    ):
        await wire.update(audio={"input": {"turn_detection": None, **TRANSCRIBED["input"]}})
        error = await wire.complaint("input_audio_buffer.commit")
        assert error["code"] == "input_audio_buffer_commit_empty"
        await wire.say("never mind")
        await wire.ask("input_audio_buffer.clear", "input_audio_buffer.cleared")
        assert (await wire.complaint("input_audio_buffer.commit"))[
            "code"
        ] == "input_audio_buffer_commit_empty"
        await wire.say("left right", pause_ms=0)
        await wire.send("input_audio_buffer.commit")
        seen = await wire.until("conversation.item.input_audio_transcription.completed")
        assert types(seen) == [
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "conversation.item.input_audio_transcription.delta",
            "conversation.item.input_audio_transcription.completed",
        ]
        assert seen[-1]["usage"]["type"] == "tokens"
        assert heard(await wire.respond()) == "Straight on"


@pytest.mark.parametrize(
    ("wire_format", "format"),
    [
        ({"type": "audio/pcmu"}, AudioFormat("g711_ulaw", 8000)),
        ({"type": "audio/pcma"}, AudioFormat("g711_alaw", 8000)),
    ],
)
async def test_telephone_formats_both_ways(wire_format, format):
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        await wire.update(
            audio={"input": {"format": wire_format}, "output": {"format": wire_format}}
        )
        await wire.say("ring ring", format)
        seen = await wire.until("response.done")
        assert heard(seen, format) == "You said: ring ring"
        assert seen[-1]["response"]["audio"]["output"]["format"] == wire_format


@pytest.mark.parametrize(
    ("eagerness", "text", "waits"),
    [
        ("high", "That is all.", 300),
        ("low", "That is all.", 1000),
        ("auto", "That is all.", 500),
        ("high", "And then I", 2000),
        ("medium", "And then I", 4000),
        ("low", "And then I", 8000),
    ],
)
async def test_semantic_vad_waits_by_what_was_said(eagerness, text, waits):
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        turn_detection = {"type": "semantic_vad", "eagerness": eagerness}
        await wire.update(audio={"input": {"turn_detection": turn_detection}})
        await wire.say(text, live=True, pause_ms=9000)
        seen = await wire.until("response.created")
        stopped = of(seen, "input_audio_buffer.speech_stopped")[0]["audio_end_ms"]
        spoken = timeline(text)[-1].end_ms
        assert spoken + waits - 20 <= stopped <= spoken + waits + 120


async def test_semantic_vad_with_audio_that_comes_all_at_once():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        await wire.update(audio={"input": {"turn_detection": {"type": "semantic_vad"}}})
        piece = base64.b64encode(speak("Is it done?", PCM24) + silence(600)).decode()
        await wire.send("input_audio_buffer.append", audio=piece)
        assert heard(await wire.until("response.done")) == "You said: Is it done?"


async def test_semantic_vad_goes_on_with_a_turn_that_goes_on():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        await wire.update(audio={"input": {"turn_detection": {"type": "semantic_vad"}}})
        await wire.say("I would like", live=True, pause_ms=2500)
        await wire.say("a coffee.", live=True)
        seen = await wire.until("response.done")
        assert len(of(seen, "input_audio_buffer.speech_started")) == 1
        assert heard(seen) == "You said: I would like a coffee."


async def test_barge_in_cancels_the_response():
    async with (
        OpenAIEmulator(
            responses={"tell me": "once upon a time there was a very long story " * 3}
        ) as emulator,
        connected(emulator) as wire,
    ):
        await wire.say("tell me")
        await wire.until("response.output_audio.delta")
        await wire.audio(speak("stop it", PCM24), live=True)
        seen = await wire.until("response.done")
        after = seen[position(seen, lambda e: e["type"].endswith("speech_started")) :]
        assert types(after) == [
            "input_audio_buffer.speech_started",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "response.output_item.done",
            "conversation.item.done",
            "response.done",
        ]
        assert of(after, "response.output_item.done")[0]["item"]["status"] == "incomplete"
        response = after[-1]["response"]
        assert response["status"] == "cancelled"
        assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        assert response["usage"]["output_token_details"]["audio_tokens"] > 0
        await wire.audio(silence(600), live=True)
        assert heard(await wire.until("response.done")) == "You said: stop it"


async def test_without_interrupt_response_the_answer_goes_on():
    async with (
        OpenAIEmulator(responses={"tell me": "a story of ten words or so " * 2}) as emulator,
        connected(emulator) as wire,
    ):
        await wire.update(audio=vad(interrupt_response=False))
        await wire.say("tell me")
        await wire.until("response.output_audio.delta")
        await wire.say("stop it")
        seen = await wire.until("response.done")
        assert seen[-1]["response"]["status"] == "completed"
        # The turn that was taken meanwhile could not be answered.
        errors = of(seen, "error")
        assert [e["error"]["code"] for e in errors] == ["conversation_already_has_active_response"]


async def test_vad_without_answers():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        await wire.update(audio=vad(create_response=False))
        await wire.say("are you there")
        await wire.until("conversation.item.done")
        await wire.send("input_audio_buffer.clear")
        assert "response.created" not in types(await wire.until("input_audio_buffer.cleared"))
        assert heard(await wire.respond()) == "You said: are you there"


async def test_a_silent_user_is_asked():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        await wire.update(audio=vad(idle_timeout_ms=6000))
        await wire.say("hello")
        done = await wire.until("response.done")
        ended = asyncio.get_running_loop().time()
        await wire.audio(silence(2000))
        seen = await wire.until("response.created")
        # Counted from the end of the playback of what was said.
        said_s = PCM24.duration_ms(len(audio_of(done))) / 1000
        waited = asyncio.get_running_loop().time() - ended
        assert 6.0 + said_s * 0.7 <= waited <= 6.0 + said_s
        assert types(seen) == [
            "input_audio_buffer.timeout_triggered",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "response.created",
        ]
        assert seen[0]["audio_start_ms"] <= seen[0]["audio_end_ms"]
        assert seen[0]["item_id"] == seen[1]["item_id"]
        assert heard(await wire.until("response.done")) == "Are you still there?"


async def test_whoever_speaks_is_not_asked_whether_he_is_there():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        await wire.update(audio=vad(idle_timeout_ms=5000))
        await wire.say("hello")
        await wire.until("response.done")
        await wire.say("once more " * 20, live=True)
        seen = await wire.until("response.done")
        assert "input_audio_buffer.timeout_triggered" not in types(seen)


@pytest.mark.parametrize(
    ("model", "deltas", "usage"),
    [
        ("gpt-4o-transcribe", ["so", " it", " goes"], "tokens"),
        ("whisper-1", ["so it goes"], "duration"),
    ],
)
async def test_transcripts_by_model(model, deltas, usage):
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        await wire.update(audio={"input": {"transcription": {"model": model}}})
        await wire.say("so it goes")
        seen = await wire.until("response.done")
        name = "conversation.item.input_audio_transcription"
        assert [e["delta"] for e in of(seen, f"{name}.delta")] == deltas
        completed = of(seen, f"{name}.completed")[0]
        assert completed["transcript"] == "so it goes"
        assert completed["usage"]["type"] == usage
        assert emulator.sessions[0].items[0].wire()["content"][0]["transcript"] == "so it goes"


@pytest.mark.parametrize(("delay_ms", "order"), [(0, "before"), (3000, "after")])
async def test_a_transcript_comes_when_it_was_told_to(delay_ms, order):
    async with (
        OpenAIEmulator(transcript_delay_ms=delay_ms, latency_ms=500) as emulator,
        connected(emulator) as wire,
    ):
        await wire.update(audio=TRANSCRIBED)
        await wire.say("tick tock")
        name = "conversation.item.input_audio_transcription.completed"
        seen = await wire.until(name)
        assert ("response.done" in types(seen)) == (order == "after")
        assert "response.created" in types(seen)


async def test_speech_that_carries_no_words_is_understood_by_script():
    noise = bytes(range(256)) * 150
    async with (
        OpenAIEmulator(transcripts=["good evening", None]) as emulator,
        connected(emulator) as wire,
    ):
        await wire.update(audio=TRANSCRIBED)
        await wire.audio(noise + silence(1000))
        assert heard(await wire.until("response.done")) == "You said: good evening"
        await wire.audio(noise + silence(1000))
        failed = await wire.get("conversation.item.input_audio_transcription.failed")
        assert failed["error"]["code"] == "audio_unintelligible"


async def test_what_was_heard_survives_a_change_of_the_turn_detection():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        await wire.audio(speak("keep me", PCM24))
        await wire.get("input_audio_buffer.speech_started")
        await wire.update(audio={"input": {"turn_detection": None}})
        await wire.ask("input_audio_buffer.commit", "conversation.item.done")
        assert heard(await wire.respond()) == "You said: keep me"


async def test_a_response_that_is_cancelled_does_not_lose_the_transcript():
    class Slow(SignalVoice):
        async def hear(self, audio: bytes, format: AudioFormat) -> str:
            await asyncio.sleep(2)
            return await super().hear(audio, format)

    async with OpenAIEmulator(speech=Slow()) as emulator, connected(emulator) as wire:
        await wire.update(audio=TRANSCRIBED)
        await wire.say("write this down")
        await wire.get("response.created")
        await wire.send("response.cancel")
        seen = await wire.until("conversation.item.input_audio_transcription.completed")
        assert of(seen, "response.done")[0]["response"]["status"] == "cancelled"
        assert seen[-1]["transcript"] == "write this down"


async def test_audio_goes_out_faster_than_it_plays():
    async with OpenAIEmulator(pace=10, latency_ms=50) as emulator, connected(emulator) as wire:
        await wire.text("count")
        await wire.send("response.create", response={})
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await wire.until("response.output_audio.delta")
        assert loop.time() - begun == pytest.approx(0.05, abs=0.01)
        seen = await wire.until("response.done")
        said_s = PCM24.duration_ms(len(audio_of(wire.log))) / 1000
        assert seen[-1]["type"] == "response.done"
        assert loop.time() - begun - 0.05 == pytest.approx(said_s / 10, abs=0.02)


async def test_too_much_uncommitted_audio_is_refused():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        await wire.update(audio={"input": {"turn_detection": None}})
        minute = silence(60_000)
        for _ in range(16):
            await wire.audio(minute)
        error = await wire.complaint("input_audio_buffer.append", audio="AAAA")
        assert error["code"] == "input_audio_buffer_overflow"
