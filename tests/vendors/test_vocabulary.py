"""Words to listen for, and how the user sounds: a wish reaches who can do it, and others say that they cannot."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.vendors.call import call_to
from voxengine import ConfigurationError, VoiceEngine, VoiceEngineConfig
from voxengine import events as ev
from voxengine.audio.signal import speak

WORDS = ["Boromir", "Sense and Sensibility"]


@pytest.mark.parametrize(
    ("dialect", "options", "told"),
    [
        ("openai", {}, {"keywords": WORDS}),
        ("azure", {}, {"prompt": "Boromir, Sense and Sensibility"}),
        ("openai", {"transcription_model": "whisper-1"}, {"prompt": ", ".join(WORDS)}),
        ("openai", {"transcription_options": {"keywords": ["Gondor"]}}, {"keywords": ["Gondor"]}),
        ("xai", {}, {"keyterms": WORDS}),
    ],
)
async def test_words_to_listen_for(dialect: str, options: dict[str, Any], told: dict[str, Any]):
    async with call_to(dialect, metadata=options, vocabulary=WORDS) as call:
        listening = call.session.settings.input["transcription"]
        assert {name: listening.get(name) for name in told} == told
        assert not [e for e in call.of(ev.SystemWarning) if e.code == "vocabulary_unused"]
        assert await call.ask("good morning") == "You said: good morning"


async def test_who_takes_none_says_so():
    engine = VoiceEngine(provider="mock", vocabulary=WORDS)
    warnings: list[ev.SystemWarning] = []
    engine.on("system_warning", warnings.append)
    async with engine:
        (warning,) = [w for w in warnings if w.code == "vocabulary_unused"]
        assert "mock" in warning.message


@pytest.mark.parametrize("wrong", ["Boromir", [""], [1], None, {"a": 1}])
def test_what_is_no_list_of_words(wrong: Any):
    with pytest.raises(ConfigurationError, match="vocabulary is a list of words and phrases"):
        VoiceEngineConfig(vocabulary=wrong)


@pytest.mark.parametrize(("mode", "told"), [("big", True), ("provider", True), ("fast", False)])
async def test_how_the_user_sounds(mode: Any, told: bool):
    feelings = [{"joy": 0.8, "calmness": 0.1}, {"anger": 0.7}]
    engine = VoiceEngine(provider="mock", mode=mode, metadata={"emotions": feelings})
    heard: list[ev.EmotionDetected] = []
    engine.on("emotion_detected", heard.append)
    async with engine:
        format = engine.config.input_format
        for _ in range(2):
            await engine.send_audio(speak("good morning", format) + bytes(format.n_bytes(1000)))
            await asyncio.sleep(3)
    assert [dict(e.scores) for e in heard] == (feelings if told else [])
    assert len({e.item_id for e in heard}) == len(heard)
