"""AssemblyAI's ears and OpenAI's ears and voices in a cascade: the whole way from speech to speech."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from tests.vendors.call import Call
from voxengine import events as ev
from voxengine.providers.cascade.parts import BrainText
from voxengine.testing.emulators.assemblyai import StreamingEmulator
from voxengine.testing.emulators.faults import Drop
from voxengine.testing.emulators.openai import OpenAIEmulator
from voxengine.testing.emulators.openai_speech import SpeechEmulator

KEY = "sk-emulated"
STORY = " ".join(f"word{n}" for n in range(10, 40))
EARS: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "assemblyai": (StreamingEmulator, "assemblyai/universal-streaming-english", {}),
    "assemblyai formatted": (
        StreamingEmulator,
        "assemblyai/universal-streaming-english",
        {"format_turns": True},
    ),
    "assemblyai pro": (StreamingEmulator, "assemblyai/universal-3-5-pro", {}),
    "openai": (OpenAIEmulator, "openai/gpt-live-transcribe", {}),
    "openai vad": (OpenAIEmulator, "openai/gpt-transcribe", {"turn_detection": "server_vad"}),
}
every = pytest.mark.parametrize("ears", EARS)


class Brain:
    """Repeats what it hears, word by word; or tells a story."""

    name = "echo"

    async def load(self) -> None:
        return None

    async def reply(self, messages: Any, tools: Any, **_: Any) -> AsyncIterator[BrainText]:
        words = messages[-1].text.lower().strip(" .")
        said = STORY if "story" in words else f"you said {words}"
        for n, word in enumerate(said.split()):
            yield BrainText(f"{' ' if n else ''}{word}")
            await asyncio.sleep(0.02)


@asynccontextmanager
async def calling(ears: str, **settings: Any) -> AsyncIterator[tuple[Call, Any]]:
    make, spec, options = EARS[ears]
    async with make(key=KEY, **settings) as heard, SpeechEmulator(key=KEY) as voice:
        metadata = {
            "vad": "energy",
            "stt": spec,
            "stt_options": {**heard.metadata, "api_key": KEY, **options},
            "llm": Brain(),
            "tts": "openai/gpt-4o-mini-tts",
            "tts_options": {**voice.metadata, "api_key": KEY},
        }
        nowhere = SimpleNamespace(metadata={})
        async with Call(nowhere, provider="cascade", metadata=metadata) as call:
            yield call, heard
    assert heard.judge.violations == []
    assert voice.problems == []


def plain(text: str) -> str:
    return text.lower().strip(" .")


@every
async def test_a_conversation(ears: str):
    async with calling(ears) as (call, heard):
        assert await call.ask("good morning") == "you said good morning"
        assert await call.ask("and again") == "you said and again"
        assert [(role, plain(text)) for role, text in call.log] == [
            ("user", "good morning"),
            ("assistant", "you said good morning"),
            ("user", "and again"),
            ("assistant", "you said and again"),
        ]
        assert len(heard.sessions) == 1
        call.check()


@every
async def test_who_is_interrupted_has_said_what_was_heard(ears: str):
    async with calling(ears) as (call, _):
        await call.speak("tell me a story")
        await call.wait(ev.AudioOutputChunk)
        await asyncio.sleep(4)
        await call.speak("stop it")
        await call.quiet()
        cut = call.answers[0]
        assert STORY.startswith(cut.text)
        assert 3 <= len(cut.text.split()) < 25
        log = [(role, plain(text)) for role, text in call.log[-2:]]
        assert log == [("user", "stop it"), ("assistant", "you said stop it")]
        call.check()


@pytest.mark.parametrize("ears", ["assemblyai", "openai"])
async def test_ears_that_are_lost_are_replaced(ears: str):
    async with calling(ears, faults=Drop(close_code=1006, after_s=0.8)) as (call, heard):
        assert await call.ask("good morning to you") == "you said good morning to you"
        assert len(heard.sessions) == 2
        assert call.of(ev.ConnectionLost) == []
        call.check()
