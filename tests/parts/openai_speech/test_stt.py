"""OpenAI's transcription sessions as the ears of a cascade."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.signal import speak
from voxengine.errors import AuthenticationError, ConfigurationError, MessageError, RateLimitError
from voxengine.providers.cascade.parts import (
    StreamingSTT,
    STTEvent,
    STTFailed,
    STTFinal,
    STTPartial,
    STTSpeechStarted,
    STTStream,
    STTTurnEnded,
    STTUsage,
)
from voxengine.providers.cascade.registry import create_part, list_parts
from voxengine.providers.openai.messages import decode_message
from voxengine.providers.openai_speech.hearing import Hearing
from voxengine.testing.emulators.faults import Drop, Expire, Malformed, Refuse, UnknownEvent
from voxengine.testing.emulators.openai import OpenAIEmulator

FORMAT = AudioFormat("pcm16", 24000)
KEY = "sk-emulated"
LIVE = "gpt-live-transcribe"


class Ear:
    """A stream at the emulator, and what it has said."""

    def __init__(self, emulator: OpenAIEmulator, stream: STTStream, heard: list[STTEvent]):
        self.emulator, self.stream, self.heard = emulator, stream, heard

    async def feed(self, audio: bytes) -> None:
        """As a microphone does."""
        size = FORMAT.n_bytes(20)
        for at in range(0, len(audio), size):
            self.stream.feed(audio[at : at + size])
            await asyncio.sleep(0.02)

    async def say(self, text: str, quiet_ms: float = 1000) -> None:
        await self.feed(speak(text, FORMAT) + silence(quiet_ms, FORMAT))

    def of(self, kind: Any) -> list[Any]:
        return [event for event in self.heard if type(event) is kind]

    @property
    def settings(self) -> dict[str, Any]:
        """What the session was told."""
        heard: dict[str, Any] = self.emulator.sessions[-1].config["audio"]["input"]
        return heard


def made(emulator: OpenAIEmulator, model: str = LIVE, **options: Any) -> StreamingSTT:
    part = create_part("stt", f"openai/{model}", {**emulator.metadata, "api_key": KEY, **options})
    assert isinstance(part, StreamingSTT)
    return part


@asynccontextmanager
async def ear(
    model: str = LIVE, *, given: Any = None, options: Any = None, **settings: Any
) -> AsyncIterator[Ear]:
    heard: list[STTEvent] = []
    async with OpenAIEmulator(key=KEY, judge="vendor", **settings) as emulator:
        part = made(emulator, model, **(options or {}))
        await part.load()
        stream = await part.open(heard.append, session="call", **(given or {}))
        try:
            yield Ear(emulator, stream, heard)
        finally:
            await stream.close()
            await stream.close()
            told = len(heard)
            await asyncio.sleep(1)
            assert len(heard) == told, "nothing comes after it was closed"
    assert emulator.judge is not None
    assert emulator.judge.violations == []


def test_it_is_found_by_name(monkeypatch: pytest.MonkeyPatch):
    assert "openai" in list_parts("stt")
    part = create_part("stt", "openai", {"api_key": KEY})
    assert (part.model, part.sample_rate, part.detects_turns) == (LIVE, 24000, False)
    for wrong in (
        {"api_key": KEY, "langauge": "en"},
        {"api_key": KEY, "turn_detection": "telepathy"},
    ):
        with pytest.raises(ConfigurationError):
            create_part("stt", "openai", wrong)
    with pytest.raises(ConfigurationError, match="turn detection"):
        create_part(
            "stt", "openai/gpt-realtime-whisper", {"api_key": KEY, "turn_detection": "server_vad"}
        )
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        create_part("stt", "openai", {})


async def test_a_turn_that_we_end():
    async with ear() as ear_:
        await ear_.say("good morning", 300)
        assert ear_.heard == []
        ear_.stream.finalize()
        await asyncio.sleep(1)
        assert [event.text for event in ear_.of(STTPartial)] == ["good", "good morning"]
        assert ear_.of(STTFinal) == [STTFinal("good morning", asked=True)]
        (usage,) = ear_.of(STTUsage)
        assert usage.seconds == pytest.approx(1.0, abs=0.4)
        await ear_.say("and again", 300)
        ear_.stream.finalize()
        await asyncio.sleep(1)
        assert ear_.of(STTFinal)[-1] == STTFinal("and again", asked=True)
        assert ear_.of(STTTurnEnded) == []


async def test_nothing_was_said():
    async with ear() as ear_:
        ear_.stream.finalize()
        await ear_.feed(silence(500, FORMAT))
        ear_.stream.finalize()
        await asyncio.sleep(1)
        assert ear_.of(STTFinal) == [STTFinal("", asked=True)] * 2


@pytest.mark.parametrize("kind", ["server_vad", "semantic_vad"])
async def test_turns_that_the_server_finds(kind: str):
    options = {"turn_detection": kind}
    given = {"turn_options": {"silence_duration_ms": 300, "eagerness": "high", "threshold": 0.4}}
    async with ear(options=options, given=given) as ear_:
        await ear_.say("good morning", 4000)
        kinds = [type(event) for event in ear_.heard]
        assert kinds[0] is STTSpeechStarted
        assert ear_.of(STTTurnEnded) == [STTTurnEnded("good morning")]
        assert ear_.of(STTFinal) == []
        await ear_.say("and again", 100)
        ear_.stream.finalize()
        await asyncio.sleep(5)
        answers = [
            event.text for event in ear_.heard if isinstance(event, (STTFinal, STTTurnEnded))
        ]
        assert "and again" in answers
        assert len(ear_.of(STTFinal)) == 1
        wanted: dict[str, dict[str, Any]] = {
            "server_vad": {"threshold": 0.4, "silence_duration_ms": 300},
            "semantic_vad": {"eagerness": "high"},
        }
        detection = ear_.emulator.sessions[-1].settings.turn_detection
        assert detection is not None
        assert {"type": kind, **wanted[kind]}.items() <= detection.items()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (LIVE, {"keywords": ["Zaffranil", "Ada"]}),
        ("gpt-4o-transcribe", {"prompt": "Zaffranil, Ada"}),
        ("gpt-realtime-whisper", {}),
    ],
)
async def test_settings(model: str, words: dict[str, Any]):
    given = {"language": "de-DE", "vocabulary": ["Zaffranil", "Ada"]}
    options = {"noise_reduction": "far_field"}
    async with ear(model, given=given, options=options) as ear_:
        heard = ear_.settings
        told = {n: v for n, v in heard["transcription"].items() if v is not None}
        assert told == {"model": model, "language": "de", **words}
        assert heard["turn_detection"] is None
        assert heard["noise_reduction"] == {"type": "far_field"}
        assert ear_.emulator.sessions[-1].settings.kind == "transcription"


@pytest.mark.parametrize(
    "fault",
    [Drop(close_code=1011, after_s=1), Drop(close_code=1006, after_s=1), Expire(after_s=1)],
    ids=repr,
)
async def test_it_is_lost(fault: Any):
    async with ear(faults=fault) as ear_:
        await ear_.say("good morning to you")
        (failed,) = ear_.heard
        assert isinstance(failed, STTFailed)
        assert failed.error.retryable
        ear_.stream.finalize()


@pytest.mark.parametrize("fault", [UnknownEvent(after_s=0.5), Malformed(after_s=0.5)], ids=repr)
async def test_what_nobody_knows_does_no_harm(fault: Any):
    async with ear(faults=fault) as ear_:
        await ear_.say("good morning", 100)
        ear_.stream.finalize()
        await asyncio.sleep(1)
        assert ear_.of(STTFinal) == [STTFinal("good morning", asked=True)]


async def test_it_cannot_be_opened():
    async with OpenAIEmulator(key=KEY, faults=Refuse("rate_limit")) as emulator:
        with pytest.raises(RateLimitError):
            await made(emulator).open(lambda _: None, session="call")
    async with OpenAIEmulator(key=KEY) as emulator:
        with pytest.raises(AuthenticationError) as refused:
            await made(emulator, api_key="sk-wrong").open(lambda _: None, session="call")
        assert "sk-wrong" not in str(refused.value)
        with pytest.raises(MessageError):
            await made(emulator, noise_reduction="a lot").open(lambda _: None, session="call")


# -- orders in which messages may come


def heard_of(*messages: dict[str, Any] | None) -> list[STTEvent]:
    """What comes of these messages; None stands for a commit of ours."""
    heard: list[STTEvent] = []
    hearing = Hearing(heard.append, "openai")
    for message in messages:
        if message is None:
            hearing.ask()
        else:
            hearing.take(decode_message(json.dumps(message).encode()))
    return heard


def buffer(what: str, item: str) -> dict[str, Any]:
    return {"type": f"input_audio_buffer.{what}", "item_id": item}


def words(item: str, text: str) -> dict[str, Any]:
    kind = "conversation.item.input_audio_transcription.completed"
    return {"type": kind, "item_id": item, "transcript": text}


EMPTY = {"type": "error", "error": {"code": "input_audio_buffer_commit_empty", "message": "empty"}}


def test_the_server_ends_the_turn_as_it_is_asked_for_that():
    heard = heard_of(
        buffer("speech_stopped", "a"), None, buffer("committed", "a"), EMPTY, words("a", "yes")
    )
    assert heard == [STTFinal("", asked=True), STTTurnEnded("yes")]


def test_answers_come_in_the_order_in_which_they_were_asked_for():
    heard = heard_of(
        None,
        None,
        buffer("committed", "a"),
        buffer("committed", "b"),
        words("b", "two"),
        words("a", "one"),
    )
    assert heard == [STTFinal("one", asked=True), STTFinal("two", asked=True)]


def test_a_transcription_that_fails_is_heard_again():
    failed = {
        "type": "conversation.item.input_audio_transcription.failed",
        "item_id": "a",
        "error": {"type": "transcription_error", "code": "audio_unintelligible", "message": "no"},
    }
    (event,) = heard_of(None, buffer("committed", "a"), failed)
    assert isinstance(event, STTFailed)
    assert event.error.retryable
    (event,) = heard_of({"type": "error", "error": {"code": "insufficient_quota", "message": "no"}})
    assert isinstance(event, STTFailed)
    assert not event.error.retryable
