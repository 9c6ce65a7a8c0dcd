"""The real models on recordings of people. The clock is virtual and stands still while a model works."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.wav import load_speech
from voxengine.data import SPEECH
from voxengine.providers.cascade import create_part
from voxengine.providers.cascade.local import LocalProvider
from voxengine.providers.cascade.parts import Speech, Transcription

pytestmark = [pytest.mark.models, pytest.mark.timeout(120)]
pytest.importorskip("faster_whisper")
pytest.importorskip("hibari")

TESTS = Path(__file__).parents[1] / "data" / "speech"
SAID = {
    SPEECH / "go_forward_ten_meters.wav": "go forward ten meters",
    SPEECH / "sense_and_sensibility_0880.wav": "he was not an ill disposed young man",
    TESTS
    / "sense_and_sensibility_0870.wav": "and mister john dashwood had then leisure to consider how much"
    " there might be prudently in his power to do for them",
    TESTS / "jfk.wav": "and so my fellow americans ask not what your country can do for you"
    " ask what you can do for your country",
}


class Held:
    """A part whose work takes no time on the virtual clock."""

    def __init__(self, part: Any) -> None:
        self._part = part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part, name)

    async def load(self) -> None:
        with _hold():
            await self._part.load()

    def stream(self) -> Any:
        return self._part.stream()

    async def transcribe(
        self, samples: Any, *, session: str, partial: bool = False
    ) -> Transcription:
        with _hold():
            done: Transcription = await self._part.transcribe(
                samples, session=session, partial=partial
            )
        return done

    async def synthesize(self, text: str, **how: Any) -> AsyncIterator[Speech]:
        with _hold():
            pieces = [piece async for piece in self._part.synthesize(text, **how)]
        for piece in pieces:
            yield piece


def _hold() -> Any:
    return asyncio.get_running_loop().hold()  # type: ignore[attr-defined]


class Recorded:
    """`local` with a caller from a recording."""

    def __init__(self, **config: Any) -> None:
        parts = {
            "vad": Held(create_part("vad", "silero")),
            "stt": Held(create_part("stt", "whisper/tiny.en")),
            "tts": Held(create_part("tts", "hibari")),
        }
        self.provider = LocalProvider({"metadata": parts, **config})
        self.told: list[tuple[float, Any]] = []
        self.provider.on_event = lambda e: self.told.append((asyncio.get_running_loop().time(), e))

    async def __aenter__(self) -> Recorded:
        await self.provider.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.provider.disconnect()

    async def play(self, path: Path, pause_s: float = 2.5) -> None:
        import numpy as np

        room = np.random.default_rng(0).standard_normal(int(16000 * (pause_s + 0.5))) * 6
        quiet = room.astype("<i2").tobytes()
        audio = quiet[:16000] + load_speech(path, AudioFormat(sample_rate=16000)) + quiet[16000:]
        for start in range(0, len(audio), 640):
            await asyncio.sleep(0.02)
            await self.provider.send_audio(audio[start : start + 640])

    def all(self, kind: type[Any]) -> list[Any]:
        return [e for _, e in self.told if type(e) is kind]

    def heard(self) -> str:
        return " ".join({e.item_id: e.text for e in self.all(ev.TranscriptCompleted)}.values())


def errors(said: str, heard: str) -> int:
    """Words inserted, deleted and replaced."""
    a, b = (
        said.split(),
        re.sub(
            r"[^a-z' ]", " ", heard.lower().replace("mr.", "mister").replace("10", "ten")
        ).split(),
    )
    row = list(range(len(b) + 1))
    for i, word in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (word != other))
    return row[-1]


async def test_a_command_is_heard_understood_and_answered_aloud() -> None:
    tool = {"name": "move", "description": "", "parameters": {"type": "object", "properties": {}}}
    async with Recorded(tools=[tool]) as call:
        call.provider.on_event(
            "function_invoked",
            lambda e: asyncio.get_running_loop().create_task(
                call.provider.send_tool_result(e.call_id, "{}")
            ),
        )
        await call.play(SPEECH / "go_forward_ten_meters.wav")
        assert errors("go forward ten meters", call.heard()) == 0
        (invoked,) = call.all(ev.FunctionInvoked)
        assert '"distance": 10' in invoked.arguments
        assert "ten meters" in "".join(e.text for e in call.all(ev.TextOutput))
        assert sum(len(e.audio_data) for e in call.all(ev.AudioOutputChunk)) > 24000
        assert call.all(ev.ResponseCompleted)


async def test_words_are_understood_through_turns_and_pauses() -> None:
    wrong = 0
    for path, said in SAID.items():
        async with Recorded() as call:
            await call.play(path)
            wrong += errors(said, call.heard())
            partials = call.all(ev.TranscriptPartial)
            for one, other in pairwise(partials):
                assert one.item_id != other.item_id or other.text.startswith(one.text)
    # Five or six of 56: how a machine rounds, and on how many threads, decides about a word.
    assert wrong <= 0.15 * sum(len(said.split()) for said in SAID.values())


async def test_the_caller_interrupts_a_long_answer() -> None:
    async with Recorded() as call:
        await call.provider.send_text("tell me a long story")
        await asyncio.sleep(3)
        await call.play(SPEECH / "sense_and_sensibility_0880.wav", pause_s=4)
        at = next(t for t, e in call.told if type(e) is ev.VadSpeechStarted)
        decided = next(t for t, e in call.told if type(e) is ev.TurnDetected)
        assert not [t for t, e in call.told if type(e) is ev.AudioOutputChunk and at < t < decided]
        assert [e.reason for e in call.all(ev.ResponseCancelled)] in ([], ["turn_detected"])
        assert "young man" in call.heard()
        assert (
            "young man" in call.all(ev.TextOutput)[-1].text
            or len(call.all(ev.ResponseStarted)) == 2
        )
