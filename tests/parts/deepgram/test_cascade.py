"""Deepgram's ears and voices in a cascade: the whole way from speech to speech."""

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
from voxengine.testing.emulators.deepgram import DeepgramEmulator

KEY = "dg-emulated"
STORY = " ".join(f"word{n}" for n in range(10, 40))
WAYS = [
    ("flux-general-en", "flux-haley-en"),
    ("flux-general-en", "aura-2-thalia-en"),
    ("nova-3", "aura-2-thalia-en"),
]


class Brain:
    """Repeats what it hears, word by word, after a while; or tells a story."""

    name = "echo"

    def __init__(self) -> None:
        #: What it was asked, and when.
        self.asked: list[tuple[float, str]] = []

    async def load(self) -> None:
        return None

    async def reply(self, messages: Any, tools: Any, **_: Any) -> AsyncIterator[BrainText]:
        words = messages[-1].text
        self.asked.append((asyncio.get_running_loop().time(), words))
        await asyncio.sleep(0.2)
        said = STORY if "story" in words else f"you said {words}"
        for n, word in enumerate(said.split()):
            yield BrainText(f"{' ' if n else ''}{word}")
            await asyncio.sleep(0.02)


@asynccontextmanager
async def calling(stt: str, tts: str, **stt_options: Any) -> AsyncIterator[tuple[Call, Any, Brain]]:
    brain = Brain()
    async with DeepgramEmulator(key=KEY) as emulator:
        options = emulator.part_options
        metadata = {
            "vad": "energy",
            "stt": f"deepgram/{stt}",
            "stt_options": {**options, **stt_options},
            "llm": brain,
            "tts": f"deepgram/{tts}",
            "tts_options": options,
        }
        nowhere = SimpleNamespace(metadata={})
        async with Call(nowhere, provider="cascade", metadata=metadata) as call:
            yield call, emulator, brain
    for judge in emulator.judges.values():
        assert judge.violations == []


@pytest.mark.parametrize(("stt", "tts"), WAYS)
async def test_a_conversation(stt: str, tts: str):
    async with calling(stt, tts) as (call, emulator, _):
        assert await call.ask("good morning") == "you said good morning"
        assert await call.ask("and again") == "you said and again"
        assert call.log == [
            ("user", "good morning"),
            ("assistant", "you said good morning"),
            ("user", "and again"),
            ("assistant", "you said and again"),
        ]
        assert call.of(ev.TranscriptPartial)
        paths = sorted(session.request.path for session in emulator.sessions)
        assert len(paths) == 2, "one connection for the ears, and one for the voice"
        call.check()


@pytest.mark.parametrize(("stt", "tts"), WAYS)
async def test_who_is_interrupted_has_said_what_was_heard(stt: str, tts: str):
    async with calling(stt, tts) as (call, emulator, _):
        await call.speak("tell me a story")
        await call.wait(ev.AudioOutputChunk)
        await asyncio.sleep(4)
        await call.speak("stop it")
        await call.quiet()
        cut = call.answers[0]
        assert STORY.startswith(cut.text)
        assert 3 <= len(cut.text.split()) < 25
        assert call.log[-2:] == [("user", "stop it"), ("assistant", "you said stop it")]
        if tts.startswith("flux"):
            voice = next(s for s in emulator.sessions if s.request.path == "/v2/speak")
            assert len(voice.interrupts) == 1
            assert voice.interrupts[0] == pytest.approx(cut.heard_ms, abs=30)
        call.check()


async def test_an_early_end_of_turn_lets_the_answer_begin_early():
    asked = {}
    for eager in (True, False):
        async with calling("flux-general-en", "flux-haley-en", eager=eager) as (call, _, brain):
            assert await call.ask("good morning") == "you said good morning"
            (turn,) = call.of(ev.TurnDetected)
            asked[eager] = brain.asked[0][0] - call.at(turn)
            assert len(brain.asked) == 1
    assert asked[True] < -0.15
    assert asked[False] >= 0
