"""Providers to put a gateway in front of, each as a piece of its configuration. None needs a key or a network."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import speak, understand
from voxengine.data import SPEECH
from voxengine.providers.cascade.parts import Speech, Transcription
from voxengine.providers.manifest import load
from voxengine.testing.emulators.catalogue import emulators
from voxengine.testing.emulators.openai import OpenAIEmulator
from voxengine.testing.emulators.openai_live import LiveEmulator
from voxengine.testing.emulators.voice import SignalVoice

#: Of whatever vendor.
Emulator: TypeAlias = Any

DIALECTS = ("openai", "azure", "xai", "custom")
#: Those that do all that a client of OpenAI's may ask for.
WHOLE = ("mock", "cascade", *DIALECTS)
ALL = (*WHOLE, "openai-live")
#: The other vendors, as many as have an emulator.
VENDORS = tuple(
    name for name, entry in sorted(emulators().items()) if entry.judge and name not in ALL
)

#: Recordings of people, and what is said in them.
YOUNG_MAN = SPEECH / "sense_and_sensibility_0880.wav"
FORWARD = SPEECH / "go_forward_ten_meters.wav"
SAID = {
    YOUNG_MAN: "he was not an ill disposed young man",
    FORWARD: "go forward ten meters",
}
#: Seconds of a person's voice below which it is only a noise.
_LEAST = 0.8

STORY = (
    "This is the story of a lighthouse that stood at the end of a pier. A woman kept it for many years. "
    "She climbed its steps every evening. She said good evening to the dark until a voice came back."
)
MOVE: dict[str, Any] = {
    "type": "function",
    "name": "move",
    "description": "moves the vehicle",
    "parameters": {
        "type": "object",
        "properties": {
            "direction": {"type": "string"},
            "distance": {"type": "number"},
            "unit": {"type": "string"},
        },
    },
}
RESPONSES: dict[str, Any] = {
    SAID[YOUNG_MAN]: "that is from Sense and Sensibility",
    SAID[FORWARD]: {
        "tool": {
            "name": "move",
            "arguments": {"direction": "forward", "distance": 10, "unit": "meters"},
        },
        "then": "Going forward ten meters",
    },
    "tell me a story": STORY,
    "look it up": {"tool": "delegate", "then": "I found {output}"},
}
#: The same for a cascade.
_SCRIPT: dict[str, Any] = {
    "script": {
        "opening": "Hello",
        "fallback": "You said: {user}",
        "rules": [
            {"phrases": [SAID[YOUNG_MAN]], "say": RESPONSES[SAID[YOUNG_MAN]]},
            {"phrases": ["tell me a story"], "say": STORY},
            {"phrases": ["what did you say"], "say": "I said {last}"},
            {
                "phrases": ["go {direction} {n:number} meters"],
                "tool": "move",
                "arguments": {"direction": "{direction}", "distance": "{n}", "unit": "meters"},
                "then": "Going {direction} {n:words} meters",
            },
        ],
    }
}
KEY_VARIABLE = "VOXENGINE_TESTS_KEY"


def recognise(audio: bytes, format: AudioFormat, recording: str) -> str:
    """The words of synthetic speech. A person's voice says what the recording says that is played."""
    words = understand(audio, format)
    return words or (recording if len(audio) > format.n_bytes(1000 * _LEAST) else "")


class Ears(SignalVoice):
    """The ears of an emulator that knows what a recording says."""

    def __init__(self, recording: str) -> None:
        super().__init__()
        self._recording = recording

    async def hear(self, audio: bytes, format: AudioFormat) -> str:
        return recognise(audio, format, self._recording)


class Listener:
    """The speech recognition of a cascade, with the same ears."""

    name = "listener"
    on_device = True

    def __init__(self, recording: str) -> None:
        self._recording = recording

    async def load(self) -> None:
        return None

    async def transcribe(
        self, samples: Any, *, session: str, partial: bool = False
    ) -> Transcription:
        audio = (np.asarray(samples) * 32767).astype("<i2").tobytes()
        words = recognise(audio, AudioFormat(sample_rate=16000), self._recording)
        return Transcription(words, "en")


class Speaker:
    """The voice of a cascade: synthetic speech."""

    name = "speaker"
    sample_rate = 24000
    voices = ("one", "two")
    on_device = True

    async def load(self) -> None:
        return None

    async def synthesize(
        self, text: str, *, voice: str | None, speed: float, session: str
    ) -> AsyncIterator[Speech]:
        yield Speech(speak(text, AudioFormat()))


@asynccontextmanager
async def provider(name: str, recording: Path) -> AsyncIterator[tuple[dict[str, Any], Emulator]]:
    """`[providers.NAME]` for the provider of that name, and what it talks to, if that is an emulator.

    `recording` is what it may be played: none of them but `local` really understands a person.
    """
    said = SAID[recording]
    if name in DIALECTS:
        async with OpenAIEmulator(name, RESPONSES, speech=Ears(said)) as emulator:
            with _key("sk-emulated"):
                yield _of(name, emulator.metadata), emulator
    elif name == "openai-live":
        async with LiveEmulator(RESPONSES, speech=Ears(said)) as live:
            with _key("sk-emulated"):
                yield _of(name, live.metadata), live
    elif name == "cascade":
        parts = {"vad": "energy", "stt": Listener(said), "tts": Speaker(), "llm_options": _SCRIPT}
        # It speaks no further ahead than the others do.
        yield {"provider": name, "metadata": {**parts, "ahead_s": 4.0}}, None
    elif name in VENDORS:
        entry = emulators()[name]
        if not entry.ready:
            pytest.skip(f"{name} is judged by {entry.judged_by}, which are not installed here")
        judge, make = load(entry.judge)(), load(entry.make)
        async with make(responses=RESPONSES, speech=Ears(said), judge=judge) as other:
            with _key("sk-emulated"):
                yield _of(name, other.metadata), other
        assert judge.violations == []
    elif name == "local":
        yield {"provider": name, "metadata": _real_parts()}, None
    else:
        mind = {"mock_responses": RESPONSES, "transcripts": [said]}
        yield {"provider": name, "metadata": mind}, None


def _of(name: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {"provider": name, "api_key_env": KEY_VARIABLE, "metadata": dict(metadata)}


class _key:
    """A key in the environment."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __enter__(self) -> None:
        os.environ[KEY_VARIABLE] = self._value

    def __exit__(self, *_: object) -> None:
        os.environ.pop(KEY_VARIABLE, None)


def _real_parts() -> dict[str, Any]:
    """The models of this machine. The clock stands still while one of them works."""
    from tests.cascade.test_local import Held
    from voxengine.providers.cascade import create_part

    names = {"vad": "silero", "stt": "whisper/tiny.en", "tts": "hibari"}
    return {kind: Held(create_part(kind, spec)) for kind, spec in names.items()}
