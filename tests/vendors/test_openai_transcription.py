"""A session that only writes down what it hears."""

import asyncio

import pytest

from voxengine import UnsupportedFeatureError, VoiceEngine
from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import speak
from voxengine.testing.emulators.openai import OpenAIEmulator

FORMAT = AudioFormat()


async def test_turns_are_written_down_and_nothing_is_waited_for():
    async with OpenAIEmulator() as vendor:
        metadata = {**vendor.metadata, "intent": "transcription"}
        engine = VoiceEngine(provider="openai", api_key="sk-emulated", metadata=metadata)
        warnings: list[object] = []
        engine.on(("warning", "error"), warnings.append)
        async with engine:
            for words in ("go forward", "and stop"):
                audio = speak(words, FORMAT) + bytes(FORMAT.n_bytes(1500))
                for at in range(0, len(audio), 960):
                    await engine.send_audio(audio[at : at + 960])
                    await asyncio.sleep(0.02)
            await asyncio.sleep(60)  # longer than an answer may take
            assert engine.conversation.transcript() == "user: go forward\nuser: and stop"
            assert engine.state == "idle"
            assert not warnings
            for refused in (engine.send_text("x"), engine.create_response(), engine.say("x")):
                with pytest.raises(UnsupportedFeatureError):
                    await refused
            assert len(engine.conversation) == 2
            assert (await engine.estimate_cost() or 0) > 0
        assert not vendor.violations
