"""Scribe: what comes of speech at the emulator, in a cascade, and the vendor's own client there."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.signal import speak
from voxengine.errors import AuthenticationError, ConfigurationError, RateLimitError
from voxengine.providers.cascade.parts import (
    StreamingSTT,
    STTEvent,
    STTFailed,
    STTFinal,
    STTPartial,
    STTStream,
    STTTurnEnded,
    STTUsage,
)
from voxengine.providers.cascade.registry import create_part, list_parts
from voxengine.testing.emulators.elevenlabs import ScribeEmulator
from voxengine.testing.emulators.faults import Drop, ErrorOnce, Malformed, Refuse, UnknownEvent

FORMAT = AudioFormat("pcm16", 16000)
KEY = "xi-emulated"


class Ear:
    """A stream at the emulator, and what it has said."""

    def __init__(self, stream: STTStream, heard: list[STTEvent]) -> None:
        self.stream, self.heard = stream, heard

    async def say(self, text: str, quiet_ms: float = 200) -> None:
        audio = speak(text, FORMAT) + silence(quiet_ms, FORMAT)
        size = FORMAT.n_bytes(20)
        for at in range(0, len(audio), size):
            self.stream.feed(audio[at : at + size])
            await asyncio.sleep(0.02)

    def of(self, kind: Any) -> list[Any]:
        return [event for event in self.heard if type(event) is kind]

    async def ask(self, n: int = 1) -> STTFinal:
        """The answer to `finalize`."""
        self.stream.finalize()
        async with asyncio.timeout(5):
            while len([e for e in self.of(STTFinal) if e.asked]) < n:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        final: STTFinal = self.of(STTFinal)[-1]
        return final


@asynccontextmanager
async def ear(
    emulator: ScribeEmulator, *, session: str = "s", part: Any = None, **settings: Any
) -> AsyncIterator[Ear]:
    stt = part or made(emulator)
    heard: list[STTEvent] = []
    stream = await stt.open(heard.append, session=session, **settings)
    try:
        yield Ear(stream, heard)
    finally:
        await stream.close()
    assert emulator.judge.violations == []


def made(emulator: ScribeEmulator, **options: Any) -> Any:
    return create_part(
        "stt", "elevenlabs/scribe_v2_realtime", {**emulator.metadata, "api_key": KEY, **options}
    )


async def test_it_is_a_part():
    assert "elevenlabs" in list_parts("stt")
    stt = create_part("stt", "elevenlabs", {"api_key": KEY})
    assert isinstance(stt, StreamingSTT)
    assert (stt.name, stt.sample_rate, stt.detects_turns) == (
        "elevenlabs/scribe_v2_realtime",
        16000,
        False,
    )
    await stt.load()
    assert KEY not in repr(vars(stt)["_access"])


async def test_what_is_asked_for_has_to_make_sense(monkeypatch: pytest.MonkeyPatch):
    for name in ("ELEVENLABS_API_KEY", "ELEVEN_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError, match="ELEVENLABS_API_KEY"):
        create_part("stt", "elevenlabs")
    for options, words in (
        ({"colour": "red"}, "no option 'colour'"),
        ({"commit_strategy": "never"}, "manual or vad"),
        ({"residency": "moon"}, "us, eu, in, sg"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            create_part("stt", "elevenlabs", {"api_key": KEY, **options})


async def test_what_was_said_is_committed_when_that_is_asked_for():
    async with ScribeEmulator(key=KEY) as emulator, ear(emulator) as line:
        await line.say("go forward ten meters")
        partials = [event.text for event in line.of(STTPartial)]
        assert partials
        assert all("go forward ten meters".startswith(text) for text in partials)
        assert line.of(STTFinal) == []
        assert (await line.ask()).text == "go forward ten meters"
        await line.say("and stop")
        assert (await line.ask(2)).text == "and stop"
        used = sum(event.seconds for event in line.of(STTUsage))
        spoken = len(speak("go forward ten meters", FORMAT) + speak("and stop", FORMAT)) / 32000
        assert used == pytest.approx(spoken + 0.4, abs=0.1)


async def test_of_nothing_nothing_is_committed_and_that_is_told():
    async with ScribeEmulator(key=KEY) as emulator, ear(emulator) as line:
        final = await line.ask()
        assert (final.text, final.asked) == ("", True)
        assert line.of(STTFailed) == []
        # Silence was put to it, for less than 0.3 s cannot be committed.
        assert "commit_throttled" not in emulator.judge.server_seen


async def test_too_little_to_commit_is_no_failure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("voxengine.providers.elevenlabs.stt._LEAST", 0)
    async with ScribeEmulator(key=KEY) as emulator, ear(emulator) as line:
        assert (await line.ask()).text == ""
        assert line.of(STTFailed) == []


async def test_it_may_find_the_turns_itself():
    async with ScribeEmulator(key=KEY) as emulator:
        stt = made(emulator, commit_strategy="vad")
        assert stt.detects_turns
        options = {"silence_duration_ms": 700, "threshold": 0.4, "eagerness": "low"}
        async with ear(emulator, part=stt, turn_options=options) as line:
            await line.say("go forward", quiet_ms=1200)
            assert [event.text for event in line.of(STTTurnEnded)] == ["go forward"]
            await line.say("and back", quiet_ms=0)
            assert (await line.ask()).text == "and back"
            assert (await line.ask(2)).text == ""
        query = emulator.session.request.query
        assert (query["vad_silence_threshold_secs"], query["vad_threshold"]) == ("0.7", "0.4")


async def test_language_and_vocabulary_are_told_with_the_address():
    async with (
        ScribeEmulator(key=KEY) as emulator,
        ear(emulator, language="en-GB", vocabulary=["Voxtral"]),
    ):
        query = emulator.session.request.query
        assert (query["language_code"], query["keyterms"]) == ("en", "Voxtral")
        assert (query["commit_strategy"], query["audio_format"]) == ("manual", "pcm_16000")


async def test_another_stream_of_the_session_is_told_what_was_said():
    async with ScribeEmulator(key=KEY) as emulator:
        stt = made(emulator, previous_text="A call about robots.")
        async with ear(emulator, part=stt) as line:
            await line.say("my name is")
            await line.ask()
            assert emulator.session.previous_text == "A call about robots."
        async with ear(emulator, part=stt) as line:
            await line.say("ada")
            await line.ask()
            assert emulator.session.previous_text == "my name is"
        async with ear(emulator, part=stt, session="another") as line:
            await line.say("hello")
            await line.ask()
            assert emulator.session.previous_text == "A call about robots."


async def test_it_is_refused_as_it_should_be():
    async with ScribeEmulator(key="another") as emulator:
        with pytest.raises(AuthenticationError) as refused:
            await made(emulator).open(lambda _: None, session="s")
        assert KEY not in str(refused.value)
    async with ScribeEmulator(key=KEY, faults=Refuse("rate_limit")) as emulator:
        with pytest.raises(RateLimitError):
            await made(emulator).open(lambda _: None, session="s")


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (ErrorOnce(code="rate_limited", response=1), "rate_limit"),
        (ErrorOnce(code="session_time_limit_exceeded", response=1), "session_expired"),
        (ErrorOnce(code="quota_exceeded", response=1), "quota"),
        (Drop(close_code=1011, response=1), "server"),
    ],
    ids=repr,
)
async def test_failures_are_told_in_our_words(fault: Any, code: str):
    async with ScribeEmulator(key=KEY, faults=fault) as emulator, ear(emulator) as line:
        await line.say("go forward")
        line.stream.finalize()
        await asyncio.sleep(1)
        (failed,) = line.of(STTFailed)
        assert failed.error.code in (code, "closed")
        assert failed.error.retryable == (code != "quota")


@pytest.mark.parametrize("fault", [UnknownEvent(after_s=0.2), Malformed(after_s=0.2)], ids=repr)
async def test_what_nobody_knows_does_no_harm(fault: Any):
    async with ScribeEmulator(key=KEY, faults=fault) as emulator, ear(emulator) as line:
        await line.say("go forward")
        assert (await line.ask()).text == "go forward"


@pytest.mark.real_clock
async def test_the_vendors_own_client_is_understood():
    """Against the emulator: what it sends is valid, and it understands what comes."""
    from elevenlabs.realtime.connection import RealtimeEvents
    from elevenlabs.realtime.scribe import AudioFormat as Format
    from elevenlabs.realtime.scribe import ScribeRealtime

    async with ScribeEmulator(key=KEY) as emulator:
        client = ScribeRealtime(api_key=KEY, base_url=emulator.ws_url)
        connection = await client.connect(
            {
                "model_id": "scribe_v2_realtime",
                "audio_format": Format.PCM_16000,
                "sample_rate": 16000,
            }
        )
        heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        begun: list[Any] = []
        connection.on(RealtimeEvents.COMMITTED_TRANSCRIPT, heard.put_nowait)
        connection.on(RealtimeEvents.SESSION_STARTED, begun.append)
        audio = speak("go forward", FORMAT)
        for at in range(0, len(audio), 8192):
            piece = base64.b64encode(audio[at : at + 8192]).decode()
            await connection.send({"audio_base_64": piece})
        await connection.commit()
        async with asyncio.timeout(10):
            assert (await heard.get())["text"] == "go forward"
        await connection.close()
        assert begun
        assert emulator.judge.violations == []
        assert emulator.judge.client_seen.keys() == {"input_audio_chunk"}
