from __future__ import annotations

from typing import Any

import pytest

from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import understand
from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    MessageError,
    ProviderError,
    RateLimitError,
)
from voxengine.providers.aws.polly import PollyTTS
from voxengine.providers.cascade.registry import create_part
from voxengine.testing.emulators.aws.polly import PollyEmulator
from voxengine.testing.emulators.faults import Drop, ErrorOnce, Refuse, Stall

SECRET = "the-secret-access-key"
PCM = AudioFormat("pcm16", 16000)


async def spoken(tts: PollyTTS, text: str, voice: str | None = None, speed: float = 1.0) -> bytes:
    pieces = tts.synthesize(text, voice=voice, speed=speed, session="s")
    try:
        return b"".join([piece.audio async for piece in pieces])
    finally:
        await tts.close()


async def test_a_sentence_is_spoken():
    async with PollyEmulator(key=SECRET) as vendor:
        tts = create_part("tts", "polly/generative", vendor.options)
        await tts.load()
        audio = await spoken(tts, "Good morning.", voice="matthew")
        assert understand(audio, PCM) == "Good morning."
        (asked,) = vendor.requests
        assert asked["Engine"] == "generative"
        assert asked["VoiceId"] == "Matthew"
        assert (asked["OutputFormat"], asked["SampleRate"]) == ("pcm", "16000")
        assert vendor.judge.violations == []


async def test_another_speed_is_markup_and_what_looks_like_it_is_none():
    async with PollyEmulator(key=SECRET) as vendor:
        tts = PollyTTS("", vendor.options)
        slow, fast = await spoken(tts, "one two", speed=0.5), await spoken(tts, "one two", speed=2)
        assert len(slow) > 3 * len(fast)
        await spoken(tts, "one < two & three", speed=2)
        assert "one &lt; two" in vendor.requests[-1]["Text"]
        assert vendor.judge.violations == []


async def test_what_has_nothing_to_say_is_not_asked_for():
    async with PollyEmulator(key=SECRET) as vendor:
        tts = PollyTTS("", vendor.options)
        assert await spoken(tts, " 🙂 ") == b""
        assert vendor.requests == []


async def test_a_voice_of_another_vendor_becomes_the_nearest():
    async with PollyEmulator(key=SECRET) as vendor:
        tts = PollyTTS("", vendor.options)
        for voice in (None, "cedar", "Léa"):
            await spoken(tts, "hello", voice=voice)
        assert [r["VoiceId"] for r in vendor.requests] == ["Joanna", "Matthew", "Lea"]


REFUSALS = [
    (Refuse("auth"), AuthenticationError, "auth"),
    (Refuse("forbidden"), AuthenticationError, "auth"),
    (Refuse("rate_limit"), RateLimitError, "rate_limit"),
    (Refuse("server_error"), ProviderError, "server"),
    (Refuse("refused"), ConnectionError, "connection"),
    (ErrorOnce(), ProviderError, "server"),
    (Drop(after_chunks=2), ConnectionError, "connection"),
]


@pytest.mark.parametrize(("fault", "kind", "code"), REFUSALS, ids=repr)
async def test_what_goes_wrong_is_an_error_of_its_kind(
    fault: Any, kind: type[Exception], code: str
):
    async with PollyEmulator(key=SECRET, faults=fault) as vendor:
        with pytest.raises(kind) as refused:
            await spoken(PollyTTS("", vendor.options), "Good morning to you all.")
        assert refused.value.code == code  # type: ignore[attr-defined]
        assert SECRET not in str(refused.value)


async def test_a_wrong_secret_is_refused():
    async with PollyEmulator(key=SECRET) as vendor:
        options = {**vendor.options, "aws_secret_access_key": "wrong"}
        with pytest.raises(AuthenticationError) as refused:
            await spoken(PollyTTS("", options), "hello")
        assert "wrong" not in str(refused.value)


async def test_what_the_vendor_does_not_take_is_told():
    async with PollyEmulator(key=SECRET) as vendor:
        tts = PollyTTS("", {**vendor.options, "language": "tlh"})
        with pytest.raises(MessageError):
            await spoken(tts, "hello")


async def test_a_silence_in_the_answer_ends_it():
    async with PollyEmulator(key=SECRET, faults=Stall(after_chunks=1, seconds=60)) as vendor:
        tts = PollyTTS("", {**vendor.options, "timeout": 2})
        with pytest.raises(ConnectionError) as late:
            await spoken(tts, "Good morning to you all.")
        assert late.value.code == "timeout"


def test_what_it_does_not_know_is_refused_when_it_is_made():
    with pytest.raises(ConfigurationError, match="engine"):
        PollyTTS("loud")
    with pytest.raises(ConfigurationError, match="no option"):
        PollyTTS("", {"rate": 1})
