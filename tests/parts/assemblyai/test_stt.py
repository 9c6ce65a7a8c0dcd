"""AssemblyAI's ears: what comes of speech at the emulator, and the vendor's own client there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from assemblyai.streaming.v3 import (
    AsyncStreamingClient,
    StreamingClientOptions,
    StreamingEvents,
    StreamingParameters,
    StreamingSessionParameters,
)

from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.signal import speak
from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    MessageError,
    RateLimitError,
)
from voxengine.providers.assemblyai import stream as codec
from voxengine.providers.assemblyai.stt import AssemblyAISTT
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
from voxengine.testing.emulators.assemblyai import StreamingEmulator
from voxengine.testing.emulators.faults import (
    Drop,
    Expire,
    Malformed,
    Refuse,
    UnknownEvent,
)

FORMAT = AudioFormat("pcm16", 16000)
KEY = "aai-emulated"
ENGLISH, PRO = "universal-streaming-english", "universal-3-5-pro"


class Ear:
    """A stream at the emulator, and what it has said."""

    def __init__(self, emulator: StreamingEmulator, stream: STTStream, heard: list[STTEvent]):
        self.emulator, self.stream, self.heard = emulator, stream, heard

    async def feed(self, audio: bytes, ms: float = 20) -> None:
        """As a microphone does."""
        size = FORMAT.n_bytes(ms)
        for at in range(0, len(audio), size):
            self.stream.feed(audio[at : at + size])
            await asyncio.sleep(ms / 1000)

    async def say(self, text: str, quiet_ms: float = 1000) -> None:
        await self.feed(speak(text, FORMAT) + silence(quiet_ms, FORMAT))

    def of(self, kind: Any) -> list[Any]:
        return [event for event in self.heard if type(event) is kind]

    @property
    def last(self) -> Any:
        return self.heard[-1]


@asynccontextmanager
async def ear(
    model: str = ENGLISH, *, given: Any = None, options: Any = None, **settings: Any
) -> AsyncIterator[Ear]:
    heard: list[STTEvent] = []
    async with StreamingEmulator(key=KEY, **settings) as emulator:
        part = made(emulator, model, **(options or {}))
        await part.load()
        stream = await part.open(heard.append, session="call", **(given or {}))
        try:
            yield Ear(emulator, stream, heard)
        finally:
            await stream.close()
            await stream.close()
            told = len(heard)
            await asyncio.sleep(3)
            assert len(heard) == told, "nothing comes after it was closed"
    assert emulator.judge.violations == []


def made(emulator: StreamingEmulator, model: str = ENGLISH, **options: Any) -> StreamingSTT:
    part = create_part(
        "stt", f"assemblyai/{model}", {**emulator.metadata, "api_key": KEY, **options}
    )
    assert isinstance(part, StreamingSTT)
    return part


def test_it_is_found_by_name():
    assert "assemblyai" in list_parts("stt")
    part = create_part("stt", "assemblyai", {"api_key": KEY})
    assert (part.model, part.sample_rate, part.detects_turns) == (ENGLISH, 16000, True)
    with pytest.raises(ConfigurationError, match="formt_turns"):
        create_part("stt", "assemblyai", {"api_key": KEY, "formt_turns": True})


def test_without_a_key(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ASSEMBLYAI_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="ASSEMBLYAI_API_KEY"):
        create_part("stt", "assemblyai", {})


async def test_a_turn():
    async with ear() as ear_:
        await ear_.say("good morning")
        kinds = [type(event) for event in ear_.heard]
        assert kinds[0] is STTSpeechStarted
        assert kinds[-1] is STTTurnEnded
        assert set(kinds[1:-1]) == {STTPartial}
        assert ear_.of(STTPartial)[0].text == "good"
        assert ear_.last == STTTurnEnded("good morning", None, 0.9)
        # What is sent is neither too short nor too long, and nothing is lost.
        pieces = ear_.emulator.session.pieces_ms
        assert 50 <= min(pieces) <= max(pieces) <= 1000
        await ear_.say("and again")
        assert ear_.last.text == "and again"
    # Whole seconds of the session, by the vendor's own word.
    (usage,) = ear_.of(STTUsage)
    assert usage.seconds == 3.0


@pytest.mark.parametrize("ms", [10, 32, 400, 1000])
async def test_audio_in_any_pieces(ms: int):
    async with ear() as ear_:
        await ear_.feed(speak("good morning", FORMAT) + silence(1200, FORMAT), ms)
        assert ear_.last.text == "good morning"


@pytest.mark.parametrize(
    ("model", "options", "text", "partial"),
    [
        (ENGLISH, {}, "good morning", "good"),
        (ENGLISH, {"format_turns": True}, "Good morning.", "good"),
        (PRO, {"format_turns": True}, "Good morning.", "good"),
    ],
    ids=["plain", "formatted", "always formatted"],
)
async def test_the_end_of_a_turn_counts_once(model: str, options: Any, text: str, partial: str):
    async with ear(model, options=options) as ear_:
        await ear_.say("good morning")
        assert [event.text for event in ear_.of(STTTurnEnded)] == [text]
        assert len(ear_.of(STTSpeechStarted)) == 1


async def test_signs_that_do_not_come_are_not_waited_for():
    async with ear(options={"format_turns": True}, format_ms=5000) as ear_:
        await ear_.say("good morning", 2000)
        assert [event.text for event in ear_.of(STTTurnEnded)] == ["good morning"]
        await asyncio.sleep(5)
        assert len(ear_.of(STTTurnEnded)) == 1


@pytest.mark.parametrize("options", [{}, {"format_turns": True}], ids=["plain", "formatted"])
async def test_a_turn_that_is_ended_by_others(options: Any):
    async with ear(options=options) as ear_:
        await ear_.say("good morning", 100)
        ear_.stream.finalize()
        await asyncio.sleep(0.3)
        (final,) = ear_.of(STTFinal)
        assert final.asked
        assert final.text.lower().strip(".") == "good morning"
        assert ear_.of(STTTurnEnded) == []


async def test_nothing_was_said():
    async with ear() as ear_:
        await ear_.feed(silence(500, FORMAT))
        ear_.stream.finalize()
        ear_.stream.finalize()
        await asyncio.sleep(4)
        assert ear_.of(STTFinal) == [STTFinal("", asked=True)] * 2


async def test_the_turn_has_just_ended_by_itself():
    async with ear() as ear_:
        await ear_.say("good morning", 700)
        assert ear_.of(STTTurnEnded)
        ear_.stream.finalize()
        await asyncio.sleep(0.5)
        assert ear_.of(STTFinal) == [STTFinal("", asked=True)]


async def test_an_end_that_is_not_told_is_that_of_the_words_that_are_known():
    async with ear(forces=False) as ear_:
        await ear_.say("good morning to you", 100)
        ear_.stream.finalize()
        await asyncio.sleep(2)
        (final,) = ear_.of(STTFinal)
        assert final.text.startswith("good morning")
        # Its own end comes later, and is not told twice.
        await ear_.feed(silence(800, FORMAT))
        assert ear_.of(STTTurnEnded) == []


async def test_settings():
    given = {
        "language": "de-DE",
        "vocabulary": ["Zaffranil", "x" * 51, *(f"word{n}" for n in range(200))],
        "turn_options": {"silence_duration_ms": 700, "threshold": 0.4},
    }
    options = {"mode": "min_latency", "prompt": "A call.", "language_detection": True}
    async with ear(PRO, given=given, options=options) as ear_:
        query = ear_.emulator.session.parameters
        assert (query["sample_rate"], query["encoding"]) == ("16000", "pcm_s16le")
        assert (query["speech_model"], query["language_codes"]) == (PRO, '["de"]')
        assert query["keyterms_prompt"].startswith('["Zaffranil","word0"')
        assert query["keyterms_prompt"].endswith('"word98"]')
        assert (query["min_turn_silence"], query["max_turn_silence"]) == ("700", "700")
        assert (query["vad_threshold"], query["mode"]) == ("0.4", "min_latency")
        assert (query["prompt"], query["language_detection"]) == ("A call.", "true")
        assert ear_.emulator.session.request.headers["authorization"] == KEY
    part = AssemblyAISTT(api_key=KEY, max_turn_silence=900)
    url = part.url(turn_options={"eagerness": "high"}, language="en")
    assert "min_turn_silence=160&max_turn_silence=900" in url
    assert "language" not in url


async def test_a_sign_of_life():
    async with ear() as ear_:
        await asyncio.sleep(50)
        kinds = [event["type"] for event in ear_.emulator.session.events]
        assert kinds == ["KeepAlive"] * 3


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Drop(close_code=1011, after_s=1), "closed"),
        (Drop(close_code=1006, after_s=1), "closed"),
        (Drop(close_code=3005, after_s=1), "server"),
        (Drop(close_code=3009, after_s=1), "rate_limit"),
        (Drop(close_code=4031, after_s=1), "session_expired"),
        (Expire(after_s=1), "session_expired"),
        (Drop(close_code=1011, response=1, after_chunks=1), "closed"),
    ],
    ids=repr,
)
async def test_it_is_lost(fault: Any, code: str):
    async with ear(faults=fault) as ear_:
        await ear_.say("good morning to you")
        (failed,) = ear_.of(STTFailed)
        assert (failed.error.code, failed.error.retryable) == (code, True)
        assert ear_.last is failed
        ear_.stream.finalize()


@pytest.mark.parametrize("fault", [UnknownEvent(after_s=0.5), Malformed(after_s=0.5)], ids=repr)
async def test_what_nobody_knows_does_no_harm(fault: Any):
    async with ear(faults=fault) as ear_:
        await ear_.say("good morning")
        assert ear_.last.text == "good morning"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Refuse("rate_limit"), RateLimitError),
        (Refuse("server_error"), ConnectionError),
        (Refuse("refused"), ConnectionError),
    ],
    ids=repr,
)
async def test_it_cannot_be_opened(fault: Any, kind: type[Exception]):
    async with StreamingEmulator(key=KEY, faults=fault) as emulator:
        with pytest.raises(kind):
            await made(emulator).open(lambda _: None, session="call")


async def test_a_wrong_key_and_a_wrong_setting():
    async with StreamingEmulator(key=KEY) as emulator:
        with pytest.raises(AuthenticationError) as refused:
            await made(emulator, api_key="aai-wrong").open(lambda _: None, session="call")
        assert "aai-wrong" not in str(refused.value)
        with pytest.raises(MessageError):
            await made(emulator, mode="fastest").open(lambda _: None, session="call")
        token = create_part("stt", "assemblyai", {**emulator.metadata, "token": KEY})
        stream = await token.open(lambda _: None, session="call")
        await stream.close()


def test_too_many_sessions_are_told_with_the_code_of_a_wrong_key():
    many = codec.decode(
        b'{"type":"Error","error_code":1008,"error":"Too many concurrent sessions"}'
    )
    assert many is not None
    assert codec.code_of(many) == "rate_limit"


# -- the vendor's own client


async def test_the_official_client_is_heard():
    async with StreamingEmulator(key=KEY) as emulator:
        seen: list[Any] = []
        client = AsyncStreamingClient(
            StreamingClientOptions(api_key=KEY, api_host=emulator.api_host)
        )

        async def note(_: Any, event: Any) -> None:
            seen.append(event)

        for kind in StreamingEvents:
            client.on(kind, note)
        await client.connect(
            StreamingParameters.model_validate(
                {
                    "sample_rate": 16000,
                    "encoding": "pcm_s16le",
                    "speech_model": ENGLISH,
                    "format_turns": True,
                    "keyterms_prompt": ["morning"],
                }
            )
        )
        audio = speak("good morning", FORMAT) + silence(1000, FORMAT)
        size = FORMAT.n_bytes(100)
        for at in range(0, len(audio), size):
            await client.stream(audio[at : at + size].ljust(size, b"\0"))
            await asyncio.sleep(0.1)
        await client.set_params(StreamingSessionParameters(min_turn_silence=300))
        await client.stream(speak("and again", FORMAT)[: size * 10])
        await client.force_endpoint()
        await asyncio.sleep(0.5)
        await client.disconnect(terminate=True)
        names = [event.type for event in seen]
        assert names[0] == "Begin"
        assert names[-1] == "Termination"
        ends = [event for event in seen if event.type == "Turn" and event.end_of_turn]
        assert [event.transcript for event in ends[:2]] == ["good morning", "Good morning."]
        assert ends[-1].transcript.startswith("And")
        assert emulator.judge.violations == []


async def test_the_official_client_has_a_wrong_key():
    async with StreamingEmulator(key=KEY) as emulator:
        client = AsyncStreamingClient(
            StreamingClientOptions(api_key="aai-wrong", api_host=emulator.api_host)
        )
        failed: list[Any] = []

        async def note(_: Any, error: Any) -> None:
            failed.append(error)

        client.on(StreamingEvents.Error, note)
        await client.connect(
            StreamingParameters.model_validate({"sample_rate": 16000, "speech_model": ENGLISH})
        )
        await asyncio.sleep(1)
        await client.disconnect()
        assert [error.code for error in failed] == [1008]
