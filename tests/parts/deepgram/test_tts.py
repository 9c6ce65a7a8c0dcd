"""Deepgram's voices: what comes of words at the emulator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import understand
from voxengine.errors import AuthenticationError, ConfigurationError, ProviderError, RateLimitError
from voxengine.providers.cascade.parts import StreamingTTS
from voxengine.providers.cascade.registry import create_part, list_parts
from voxengine.providers.deepgram.speaking import AuraTongue, FluxTongue
from voxengine.providers.deepgram.tts import IDLE_S, DeepgramTTS
from voxengine.testing.emulators.deepgram import DeepgramEmulator
from voxengine.testing.emulators.faults import Drop, ErrorOnce, Malformed, Refuse, UnknownEvent

FORMAT = AudioFormat("pcm16", 24000)
KEY = "dg-emulated"
AURA, FLUX = "aura-2-thalia-en", "flux-haley-en"
both = pytest.mark.parametrize("model", [AURA, FLUX])
TEXT = "one two three. four five six. seven eight nine."


@asynccontextmanager
async def voice(
    model: str, faults: Any = (), **settings: Any
) -> AsyncIterator[tuple[DeepgramTTS, DeepgramEmulator]]:
    async with DeepgramEmulator(key=KEY, faults=faults, **settings) as emulator:
        part = create_part("tts", f"deepgram/{model}", emulator.part_options)
        assert isinstance(part, DeepgramTTS)
        assert isinstance(part, StreamingTTS)
        try:
            yield part, emulator
        finally:
            await part.close()
            await asyncio.sleep(0.5)
    for judge in emulator.judges.values():
        assert judge.violations == []


async def spoken(stream: Any, heard: bytearray | None = None) -> bytearray:
    heard = bytearray() if heard is None else heard
    async for speech in stream:
        assert len(speech.audio) % 2 == 0
        heard += speech.audio
    return heard


async def say(part: DeepgramTTS, text: str, **settings: Any) -> str:
    stream = await part.open(**{"voice": None, "speed": 1.0, "session": "call", **settings})
    for word in text.split(" "):
        stream.push(f"{word} ")
    stream.end()
    return understood(await spoken(stream))


def understood(audio: bytes | bytearray) -> str:
    """The words in it, without the full stops."""
    return words(understand(bytes(audio), FORMAT))


def words(text: str) -> str:
    return text.replace(".", "").strip()


def test_it_is_found_by_name():
    assert "deepgram" in list_parts("tts")
    part = create_part("tts", "deepgram", {"api_key": KEY})
    assert part.name == "deepgram/aura-2-thalia-en"
    assert part.voices[0] == AURA
    assert create_part("tts", "deepgram/flux-haley-en", {"api_key": KEY}).voices[0] == FLUX


def test_what_is_wrong_with_its_options_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DEEPGRAM_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="DEEPGRAM_API_KEY"):
        create_part("tts", "deepgram")
    with pytest.raises(ConfigurationError, match="api is v1 or v2"):
        create_part("tts", "deepgram", {"api_key": KEY, "api": "v3"})
    with pytest.raises(ConfigurationError, match="no option pitch"):
        create_part("tts", "deepgram", {"api_key": KEY, "pitch": 3})


@both
async def test_words_are_spoken_while_they_come(model: str):
    async with voice(model) as (part, _):
        stream = await part.open(voice=None, speed=1.0, session="call")
        heard = bytearray()
        task = asyncio.create_task(spoken(stream, heard))
        stream.push("one two three. ")
        stream.push("four")
        await asyncio.sleep(2)
        assert understood(heard) == "one two three"
        stream.push(" five six.")
        stream.end()
        await task
        assert understood(heard) == "one two three four five six"


@both
async def test_answers_share_a_connection_which_is_closed_when_nobody_needs_it(model: str):
    async with voice(model) as (part, emulator):
        await part.load()
        for _ in range(3):
            assert await say(part, TEXT) == words(TEXT)
        assert len(emulator.sessions) == 1
        await asyncio.sleep(IDLE_S + 1)
        assert emulator.sessions[0].over
        assert await say(part, TEXT) == words(TEXT)
        assert len(emulator.sessions) == 2


@both
async def test_another_voice_or_pace_is_another_connection(model: str):
    other = {AURA: "aura-2-apollo-en", FLUX: "flux-jack-en"}[model]
    async with voice(model) as (part, emulator):
        slow = len(await spoken_bytes(part, "one two three"))
        assert len(await spoken_bytes(part, "one two three", speed=1.26)) < slow
        assert emulator.session.request.query["speed"] == "1.25"
        await spoken_bytes(part, "one", voice=other)
        assert emulator.session.request.query["model"] == other
        assert [session.over for session in emulator.sessions] == [True, True, False]


async def spoken_bytes(part: DeepgramTTS, text: str, **settings: Any) -> bytes:
    stream = await part.open(**{"voice": None, "speed": 1.0, "session": "call", **settings})
    stream.push(text)
    stream.end()
    return bytes(await spoken(stream))


@both
@pytest.mark.parametrize("text", ["", "  "])
async def test_nothing_is_spoken_of_nothing(model: str, text: str):
    async with voice(model) as (part, _):
        assert await spoken_bytes(part, text) == b""
        assert await say(part, TEXT) == words(TEXT)


async def test_flux_says_what_was_heard_while_it_speaks_and_after():
    async with voice(FLUX) as (part, emulator):
        await say(part, TEXT)
        for speaks_still in (True, False):
            stream = await part.open(voice=None, speed=1.0, session="call")
            heard = bytearray()
            task = asyncio.create_task(spoken(stream, heard))
            stream.push(TEXT)
            stream.end()
            await asyncio.sleep(0.4 if speaks_still else 5.0)
            assert task.done() != speaks_still
            said = await stream.cancel(1500.0)
            await task
            wanted = understood(heard[: FORMAT.n_bytes(1500)])
            assert said is not None
            assert words(said) == wanted
            assert await stream.cancel(1500.0) is None
        # One connection, whose audio is counted on from what was heard.
        assert len(emulator.sessions) == 1
        first, second = emulator.session.interrupts
        assert second == first + 1500
        assert await say(part, "and on") == "and on"


async def test_of_what_nobody_heard_nothing_is_said_to_be_heard():
    async with voice(FLUX) as (part, _):
        stream = await part.open(voice=None, speed=1.0, session="call")
        stream.push(TEXT)
        assert await stream.cancel(0.0) is None, "before the first sound"
        stream = await part.open(voice=None, speed=1.0, session="call")
        stream.push(TEXT)
        await asyncio.sleep(1)
        assert await stream.cancel(0.0) == ""
        stream = await part.open(voice=None, speed=1.0, session="call")
        stream.push(TEXT)
        await asyncio.sleep(1)
        assert await stream.cancel() is None, "how much was heard is not known"


async def test_aura_stops_and_the_connection_is_good_for_the_next_answer():
    async with voice(AURA) as (part, emulator):
        stream = await part.open(voice=None, speed=1.0, session="call")
        task = asyncio.create_task(spoken(stream))
        stream.push(TEXT)
        stream.end()
        await asyncio.sleep(0.4)
        assert await stream.cancel(200.0) is None
        assert len(await task) < FORMAT.n_bytes(3000)
        assert await say(part, "and on") == "and on"
        assert len(emulator.sessions) == 1


async def test_an_answer_that_was_followed_by_another_cannot_stop_that():
    async with voice(FLUX) as (part, _):
        first = await part.open(voice=None, speed=1.0, session="call")
        first.push("one two")
        first.end()
        await spoken(first)
        second = await part.open(voice=None, speed=1.0, session="call")
        second.push("three four")
        second.end()
        assert await first.cancel(100.0) is None
        assert understood(await spoken(second)) == "three four"


async def test_sentences_are_flushed_as_often_as_the_vendor_allows():
    async with voice(AURA, pace=50.0) as (part, emulator):
        for _ in range(2):
            stream = await part.open(voice=None, speed=1.0, session="call")
            for n in range(20):
                stream.push(f"word{n + 10} ")
                stream.flush()
            stream.end()
            said = understood(await spoken(stream))
            assert said == " ".join(f"word{n + 10}" for n in range(20))
        flushes = [e for e in emulator.session.events if e["type"] == "Flush"]
        assert 16 <= len(flushes) <= 20


@both
async def test_a_stop_that_is_not_answered_ends_the_connection(model: str):
    async with voice(model, faults="stall:after_chunks=2") as (part, emulator):
        stream = await part.open(voice=None, speed=1.0, session="call")
        stream.push(TEXT)
        stream.end()
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()
        assert await stream.cancel(100.0) is None
        assert asyncio.get_running_loop().time() - began < 0.6
        await asyncio.sleep(0.1)
        assert emulator.session.over
        assert await say(part, "and on") == "and on"


@both
@pytest.mark.parametrize(
    ("fault", "error"),
    [(Refuse("rate_limit"), RateLimitError), (Refuse("auth"), AuthenticationError)],
)
async def test_a_refusal_is_raised(model: str, fault: Any, error: type[Exception]):
    async with voice(model, faults=fault) as (part, _):
        with pytest.raises(error) as refused:
            await part.open(voice=None, speed=1.0, session="call")
        assert KEY not in str(refused.value)


@both
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Drop(close_code=1011, after_chunks=2), "closed"),
        (Drop(close_code=1006, after_chunks=2), "closed"),
        (ErrorOnce(after_chunks=2), None),
    ],
    ids=repr,
)
async def test_what_goes_wrong_is_raised_and_the_next_answer_is_spoken(
    model: str, fault: Any, code: str | None
):
    async with voice(model, faults=fault) as (part, _):
        stream = await part.open(voice=None, speed=1.0, session="call")
        stream.push(TEXT)
        stream.end()
        with pytest.raises(ProviderError) as failed:
            await spoken(stream)
        assert failed.value.code == (code or {AURA: "closed", FLUX: "server"}[model])
        assert failed.value.retryable
        assert await stream.cancel(100.0) is None
        assert await say(part, "and on") == "and on"


@both
@pytest.mark.parametrize(
    "fault", [UnknownEvent(after_chunks=1), Malformed(after_chunks=1)], ids=repr
)
async def test_what_nobody_knows_does_no_harm(model: str, fault: Any):
    async with voice(model, faults=fault) as (part, _):
        assert await say(part, TEXT) == words(TEXT)


def test_long_texts_go_in_pieces():
    for tongue in (AuraTongue(), FluxTongue()):
        assert [len(m) for m in tongue.text("x" * 4500)] == [2026, 2026, 526]


def test_an_interruption_that_is_not_taken_leaves_the_answer_as_it_is():
    flux = FluxTongue()
    flux.text("one two")
    flux.spoke(500.0)
    (asked,) = flux.stop(200.0)
    assert b'"value":200' in asked
    assert flux.stop(200.0) == [], "it is being stopped"
    flux.read(b'{"type":"Warning","code":"INVALID_INTERRUPT_OFFSET","description":""}')
    assert not flux.stopping
    assert not flux.idle
    assert flux.heard is None


def test_each_interruption_is_behind_the_one_before():
    flux = FluxTongue()
    at = []
    for _ in range(2):
        flux.text("one two")
        flux.spoke(500.0)
        (asked,) = flux.stop(0.0)
        at.append(int(asked.rpartition(b":")[2].strip(b"}")))
        flux.read(b'{"type":"SpeechInterrupted","audio_played_ms":%d,"text_spoken":""}' % at[-1])
        assert flux.idle
        assert flux.heard == ""
    assert at == [1, 2]
