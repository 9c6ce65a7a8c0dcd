"""A cascade that hears and speaks by Azure Speech holds a conversation."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from voxengine import VoiceEngine
from voxengine import events as ev
from voxengine.audio.level import silence
from voxengine.audio.signal import speak
from voxengine.testing.emulators.azure_speech import AzureSpeechEmulator

pytest.importorskip("azure.cognitiveservices.speech")

KEY = "5p33ch" * 5


@pytest.mark.real_clock
async def test_a_spoken_turn_is_answered_and_its_words_have_places():
    async with AzureSpeechEmulator(key=KEY, pace=10.0) as azure:
        options = {"speech_key": KEY, **azure.metadata}
        engine = VoiceEngine(
            provider="cascade",
            mode="big",
            vocabulary=["Contoso"],
            metadata={
                "vad": "energy",
                "stt": "azure/en-US",
                "stt_options": options,
                "llm": "scripted",
                "tts": "azure/en-GB-RyanNeural",
                "tts_options": options,
            },
        )
        seen: list[Any] = []
        done = asyncio.Event()

        def note(event: Any) -> None:
            seen.append(event)
            if isinstance(event, ev.ResponseCompleted):
                done.set()

        engine.on("*", note)
        async with engine:
            format = engine.config.input_format
            audio = speak("go home", format) + silence(800, format)
            size = format.n_bytes(20)
            for at in range(0, len(audio), size):
                await engine.send_audio(audio[at : at + size])
                await asyncio.sleep(0.02)
            async with asyncio.timeout(15):
                await done.wait()
        transcripts = [e.text for e in seen if isinstance(e, ev.TranscriptCompleted)]
        assert transcripts == ["go home"]
        words = [e for e in seen if isinstance(e, ev.TextOutput) and e.text]
        assert len(words) > 2
        assert all(e.audio_end_ms is not None for e in words)
        used = [e for e in seen if isinstance(e, ev.UsageUpdated)]
        assert sum(e.input_audio_seconds for e in used) > 0.5
        assert azure.sessions[0].phrases == ["Contoso"]
        spoken = [s for s in azure.sessions[1:] if s.voice_name is not None]
        assert spoken[0].voice_name == "en-GB-RyanNeural"
        assert azure.judge.violations == []
