"""Ears and mouth: synthetic speech that is exact, and real models that hear a recording of a person."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from tests.cascade_parts.speech import recording, transcript, word_errors, words
from tests.emulators.wire import PCM24, Wire, audio_of, connected, of, silence
from voxengine.audio.formats import AudioFormat
from voxengine.audio.resample import Converter
from voxengine.audio.signal import understand
from voxengine.errors import ConfigurationError, ModelError
from voxengine.testing.emulators.openai import OpenAIEmulator
from voxengine.testing.emulators.voice import LocalVoice, SignalVoice, Voice, voice_of


async def test_the_signal_voice_says_what_it_hears():
    voice = SignalVoice()
    for format in (PCM24, AudioFormat("g711_ulaw", 8000), AudioFormat("pcm16", 11025)):
        audio = await voice.say("one two three", format)
        assert await voice.hear(audio, format) == "one two three"
    assert len(await voice.say("one", PCM24, speed=0.5)) == 2 * len(await voice.say("one", PCM24))
    assert await voice.say("", PCM24) == b""
    assert await voice.hear(silence(500), PCM24) == ""


def test_a_voice_is_found_by_its_name():
    assert isinstance(voice_of(None), SignalVoice)
    assert isinstance(voice_of("signal"), SignalVoice)
    assert isinstance(voice_of(SignalVoice()), Voice)
    with pytest.raises(ConfigurationError):
        voice_of("mime")


async def test_a_voice_of_ones_own():
    class Parrot:
        async def hear(self, audio: bytes, format: AudioFormat) -> str:
            return "polly"

        async def say(self, text: str, format: AudioFormat, *, speed: float = 1.0) -> bytes:
            return silence(300, format)

    async with OpenAIEmulator(speech=Parrot()) as emulator, connected(emulator) as wire:
        await wire.say("anything")
        seen = await wire.until("response.done")
        assert len(audio_of(seen)) == PCM24.n_bytes(300)
        assert seen[-1]["response"]["output"][0]["content"][0]["transcript"] == "You said: polly"


async def test_a_voice_that_fails_lets_the_response_fail():
    class Hoarse(SignalVoice):
        async def say(self, text: str, format: AudioFormat, *, speed: float = 1.0) -> bytes:
            raise ModelError("no voice today")

    async with OpenAIEmulator(speech=Hoarse()) as emulator, connected(emulator) as wire:
        await wire.text("hello")
        response = (await wire.respond())[-1]["response"]
        assert response["status"] == "failed"
        assert "no voice today" in response["status_details"]["error"]["message"]


@pytest.mark.real_clock
@pytest.mark.models
async def test_a_recording_of_a_person_is_heard_and_answered_aloud():
    pytest.importorskip("faster_whisper")
    pytest.importorskip("hibari")
    said = transcript("jfk")
    samples = recording("jfk")
    pcm16 = (samples * 32767).astype(np.int16).tobytes()
    converter = Converter(AudioFormat("pcm16", 16000), PCM24)
    audio = converter.process(pcm16) + converter.flush()
    responses = {"*country*": "Well said, Mister President."}
    async with (
        OpenAIEmulator(responses=responses, speech="local", pace=20) as emulator,
        connected(emulator) as wire,
    ):
        await wire.update(
            audio={
                "input": {
                    "transcription": {"model": "gpt-4o-transcribe"},
                    # A person pauses in the middle.
                    "turn_detection": {"type": "server_vad", "silence_duration_ms": 1500},
                }
            }
        )
        await wire.audio(audio + silence(2000))
        seen = await _answered(wire)
        name = "conversation.item.input_audio_transcription.completed"
        understood = of(seen, name)[0]["transcript"]
        assert word_errors(said, understood) <= len(words(said)) // 10
        spoken = audio_of(seen)
        assert understand(spoken, PCM24) == ""  # no signal speech, but a voice
        heard_back = await LocalVoice().hear(spoken, PCM24)
        assert "president" in heard_back.lower()


async def _answered(wire: Wire) -> list[dict[str, object]]:
    async with asyncio.timeout(45):
        return await wire.until("response.done")
