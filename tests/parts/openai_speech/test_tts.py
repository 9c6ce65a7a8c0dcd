"""OpenAI's voices: what is spoken at the emulator, and the vendor's own client there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import openai
import pytest

from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import understand
from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    ProviderError,
    RateLimitError,
)
from voxengine.providers.cascade.parts import TTS, Speech
from voxengine.providers.cascade.registry import create_part, list_parts
from voxengine.testing.emulators.faults import Drop, ErrorOnce, Refuse, Stall
from voxengine.testing.emulators.openai_speech import SpeechEmulator
from voxengine.testing.oracles.openai_speech import speech_problems

FORMAT = AudioFormat("pcm16", 24000)
KEY = "sk-emulated"
LONG = " ".join(f"word{n}" for n in range(10, 40))


@asynccontextmanager
async def voice(model: str = "", **settings: Any) -> AsyncIterator[tuple[SpeechEmulator, Any]]:
    options = settings.pop("options", {})
    async with SpeechEmulator(key=KEY, **settings) as emulator:
        spec = f"openai/{model}" if model else "openai"
        part = create_part("tts", spec, {**emulator.metadata, "api_key": KEY, **options})
        await part.load()
        try:
            yield emulator, part
        finally:
            await part.close()
    assert emulator.problems == []


async def say(
    part: TTS, text: str, *, voice: str | None = None, speed: float = 1.0
) -> list[Speech]:
    speech = part.synthesize(text, voice=voice, speed=speed, session="s")
    return [piece async for piece in speech]


def heard(pieces: list[Speech]) -> str:
    return understand(b"".join(piece.audio for piece in pieces), FORMAT)


def test_it_is_found_by_name(monkeypatch: pytest.MonkeyPatch):
    assert "openai" in list_parts("tts")
    part: Any = create_part("tts", "openai", {"api_key": KEY})
    assert isinstance(part, TTS)
    assert part.sample_rate == 24000
    for wrong in ({"vioce": "ash"}, {"endpoint": 7}):
        with pytest.raises(ConfigurationError):
            create_part("tts", "openai", {"api_key": KEY, **wrong})
    with pytest.raises(ConfigurationError, match="instructions"):
        create_part("tts", "openai/tts-1", {"api_key": KEY, "instructions": "Whisper."})
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        create_part("tts", "openai", {})


async def test_a_sentence_is_given_as_it_comes():
    async with voice() as (emulator, part):
        loop = asyncio.get_running_loop()
        began, first = loop.time(), None
        pieces = []
        async for piece in part.synthesize(LONG, voice="marin", speed=1.0, session="s"):
            first = first or loop.time()
            # The vendor's pieces end within samples; ours do not, and none is long.
            assert len(piece.audio) % 2 == 0
            assert FORMAT.duration_ms(len(piece.audio)) <= 200
            pieces.append(piece)
        assert heard(pieces) == LONG
        assert first is not None
        assert first - began < 0.3 < loop.time() - began
        assert emulator.requests == [
            {
                "model": "gpt-4o-mini-tts",
                "input": LONG,
                "voice": "marin",
                "response_format": "pcm",
            }
        ]


async def test_settings():
    options = {"instructions": "Speak softly.", "voice": "ash"}
    async with voice("gpt-4o-mini-tts-2025-12-15", options=options) as (emulator, part):
        slow = await say(part, "good morning", speed=0.1)
        assert heard(slow) == "good morning"
        await say(part, "good morning", voice="voice_1234")
        assert await say(part, " ... ") == []
        first, second = emulator.requests
        assert (first["voice"], first["speed"], first["instructions"]) == (
            "ash",
            0.25,
            "Speak softly.",
        )
        assert first["model"] == "gpt-4o-mini-tts-2025-12-15"
        assert (second["voice"], "speed" in second) == ({"id": "voice_1234"}, False)
        assert sum(len(p.audio) for p in slow) > 2 * FORMAT.n_bytes(1000)


@pytest.mark.parametrize(
    ("fault", "kind", "retryable"),
    [
        (Refuse("auth"), AuthenticationError, False),
        (Refuse("rate_limit"), RateLimitError, True),
        (Refuse("server_error"), ProviderError, True),
        (ErrorOnce(), ProviderError, True),
        (Drop(after_chunks=2), ProviderError, True),
        (Stall(after_chunks=2), ProviderError, True),
    ],
    ids=repr,
)
async def test_what_goes_wrong(fault: Any, kind: type[ProviderError], retryable: bool):
    async with voice(faults=fault) as (_, part):
        with pytest.raises(kind) as failed:
            await say(part, LONG)
        assert failed.value.retryable is retryable
        assert KEY not in str(failed.value)
        assert heard(await say(part, "good morning")) == "good morning"


async def test_a_wrong_key_and_a_wrong_setting():
    async with SpeechEmulator(key=KEY) as emulator:
        wrong = create_part("tts", "openai", {**emulator.metadata, "api_key": "sk-wrong"})
        with pytest.raises(AuthenticationError) as refused:
            await say(wrong, "good morning")
        assert "sk-wrong" not in str(refused.value)
        await wrong.close()
    assert speech_problems(b'{"model":"tts-1","input":"a","voice":"ash","mood":1}')
    assert speech_problems(b'{"model":"tts-1","input":"a"}')
    assert speech_problems(b'{"model":"tts-1","input":"a","voice":"ash","response_format":"pcms"}')


async def test_who_stops_listening_stops_the_work():
    async with voice() as (emulator, part):
        async with aclosing(part.synthesize(LONG, voice=None, speed=1.0, session="s")) as speech:
            await anext(speech)
        assert heard(await say(part, "good morning")) == "good morning"
        assert len(emulator.requests) == 2


async def test_a_server_that_is_not_there():
    async with voice() as (emulator, part):
        await emulator.kill()
        with pytest.raises(ProviderError) as failed:
            await say(part, "good morning")
        assert failed.value.retryable


# -- the vendor's own client


async def test_the_official_client():
    async with SpeechEmulator(key=KEY) as emulator:
        async with openai.AsyncOpenAI(api_key=KEY, base_url=emulator.base_url) as client:
            async with client.audio.speech.with_streaming_response.create(
                model="gpt-4o-mini-tts",
                input="good morning to you",
                voice="marin",
                response_format="pcm",
            ) as response:
                audio = b"".join([piece async for piece in response.iter_bytes()])
            assert understand(audio, FORMAT) == "good morning to you"
        async with openai.AsyncOpenAI(
            api_key="sk-wrong", base_url=emulator.base_url, max_retries=0
        ) as client:
            with pytest.raises(openai.AuthenticationError):
                await client.audio.speech.create(model="tts-1", input="a", voice="ash")
        assert emulator.problems == []
