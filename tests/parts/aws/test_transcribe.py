from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.vendors.nova.needs import needs_library
from voxengine import VoiceEngine
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.signal import speak
from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    MessageError,
    MissingDependencyError,
    RateLimitError,
)
from voxengine.providers.aws.transcribe import TranscribeSTT
from voxengine.providers.cascade.parts import STTFailed, STTFinal, STTPartial
from voxengine.providers.cascade.registry import create_part
from voxengine.testing.emulators.aws.polly import PollyEmulator
from voxengine.testing.emulators.faults import Drop, Refuse

SECRET = "the-secret-access-key"
PCM = AudioFormat("pcm16", 16000)


def emulator(**settings: Any) -> Any:
    module = importlib.import_module("voxengine.testing.emulators.aws.transcribe")
    return module.TranscribeEmulator(key=SECRET, **settings)


def options(of: Any, **more: Any) -> dict[str, Any]:
    return {**of.metadata, "aws_secret_access_key": SECRET, **more}


class Heard:
    def __init__(self) -> None:
        self.events: list[Any] = []
        self._came = asyncio.Event()

    def __call__(self, event: Any) -> None:
        self.events.append(event)
        self._came.set()

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def asked(self) -> int:
        return sum(final.asked for final in self.of(STTFinal))

    def text(self) -> str:
        return " ".join(final.text for final in self.of(STTFinal) if final.text)

    async def until(self, test: Callable[[], Any]) -> None:
        async with asyncio.timeout(20):
            while not test():
                self._came.clear()
                await self._came.wait()


async def feed(stream: Any, audio: bytes) -> None:
    for at in range(0, len(audio), 640):
        stream.feed(audio[at : at + 640])
        await asyncio.sleep(0.02)


def test_it_is_found_by_its_name_and_refuses_what_it_does_not_know():
    part = create_part("stt", "transcribe/my-model", {"language": "de"})
    assert (part.name, part.sample_rate, part.detects_turns) == ("transcribe", 16000, False)
    with pytest.raises(ConfigurationError, match="vocabulary_name"):
        TranscribeSTT("", {"words": []})


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="this Python is new enough")
async def test_an_old_python_is_told_plainly():
    with pytest.raises(MissingDependencyError, match=r"Transcribe needs Python 3.12 or newer"):
        await TranscribeSTT().load()


@needs_library
async def test_speech_is_written_down():
    async with emulator() as vendor:
        heard = Heard()
        stt = TranscribeSTT("", options(vendor, vocabulary_name="mine"))
        stream = await stt.open(heard, session="s", language="de")
        await feed(stream, speak("go forward ten meters", PCM) + silence(300, PCM))
        stream.finalize()
        await heard.until(lambda: heard.asked() == 1)
        assert heard.text() == "go forward ten meters"
        assert heard.of(STTPartial)
        await feed(stream, silence(500, PCM) + speak("and stop", PCM) + silence(300, PCM))
        stream.finalize()
        await heard.until(lambda: heard.asked() == 2)
        assert heard.text() == "go forward ten meters and stop"
        await stream.close()
        await stream.close()
        asked = vendor.session.request.headers
        assert asked["x-amzn-transcribe-language-code"] == "de-DE"
        assert asked["x-amzn-transcribe-vocabulary-name"] == "mine"
        assert asked["x-amzn-transcribe-partial-results-stability"] == "high"
        assert vendor.judge.violations == []
        assert vendor.judge.seen["server"] > 3
    assert heard.of(STTFailed) == []


@needs_library
async def test_a_stream_that_is_not_fed_is_kept_open():
    async with emulator() as vendor:
        heard = Heard()
        stream = await TranscribeSTT("", options(vendor)).open(heard, session="s")
        await asyncio.sleep(60)
        assert heard.events == []
        assert not vendor.session.over
        await stream.close()


REFUSALS = [
    (Refuse("auth"), AuthenticationError, "auth"),
    (Refuse("rate_limit"), RateLimitError, "rate_limit"),
    (Refuse("server_error"), ConnectionError, "server"),
    (Refuse("refused"), ConnectionError, "connection"),
]


@needs_library
@pytest.mark.parametrize(("fault", "kind", "code"), REFUSALS, ids=repr)
async def test_a_refusal_is_an_error_of_its_kind(fault: Any, kind: type[Exception], code: str):
    async with emulator(faults=fault) as vendor:
        with pytest.raises(kind) as refused:
            await TranscribeSTT("", options(vendor)).open(Heard(), session="s")
        assert refused.value.code == code  # type: ignore[attr-defined]
        assert SECRET not in str(refused.value)


@needs_library
async def test_a_language_that_there_is_not_is_refused():
    async with emulator() as vendor:
        heard = Heard()
        stt = TranscribeSTT("", options(vendor))
        try:
            stream = await stt.open(heard, session="s", language="tlh")
            await heard.until(lambda: heard.events)
            error = heard.of(STTFailed)[0].error
            await stream.close()
        except MessageError as failure:
            error = failure
        assert error.code == "message"


@needs_library
@pytest.mark.parametrize(
    ("code", "word"), [(1011, "server"), (1013, "rate_limit"), (1006, "connection")]
)
async def test_the_end_of_a_stream_is_told(code: int, word: str):
    async with emulator(faults=Drop(close_code=code, after_s=1)) as vendor:
        heard = Heard()
        stream = await TranscribeSTT("", options(vendor)).open(heard, session="s")
        await feed(stream, speak("go forward ten meters", PCM))
        await heard.until(lambda: heard.of(STTFailed))
        (failed,) = heard.of(STTFailed)
        assert (failed.error.code, failed.error.retryable) == (word, True)
        stream.feed(bytes(640))
        await stream.close()
        assert len(heard.of(STTFailed)) == 1


@needs_library
@pytest.mark.virtual_clock(
    leak_check=False
)  # the connections to the mouth are the process's, not the session's
async def test_a_cascade_hears_and_speaks_with_amazons_parts():
    async with emulator() as vendor, PollyEmulator(key=SECRET) as mouth:
        engine = VoiceEngine(
            provider="cascade",
            apology=None,
            metadata={
                "stt": "transcribe",
                "stt_options": options(vendor),
                "llm": "scripted",
                "tts": "polly",
                "tts_options": mouth.options,
                "vad": "energy",
            },
        )
        told: list[Any] = []
        engine.on(ev.EventType.TRANSCRIPT_COMPLETED, told.append)
        engine.on(ev.EventType.AUDIO_OUTPUT_CHUNK, told.append)
        await engine.connect()
        format = engine.config.input_format
        audio = silence(300, format) + speak("go forward ten meters", format)
        audio += silence(2500, format)
        size = format.n_bytes(20)
        for at in range(0, len(audio), size):
            await engine.send_audio(audio[at : at + size])
            await asyncio.sleep(0.02)
        await asyncio.sleep(3)
        await engine.disconnect()
        assert [e.text for e in told if isinstance(e, ev.TranscriptCompleted)] == [
            "go forward ten meters"
        ]
        assert any(isinstance(event, ev.AudioOutputChunk) for event in told)
        assert mouth.requests
        assert vendor.judge.violations == mouth.judge.violations == []
