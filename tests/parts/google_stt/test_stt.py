"""Google's recogniser against its emulator: a real gRPC server, whose messages are the vendor's own types.

gRPC waits in threads of its own, so that all of this is in real time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import speak
from voxengine.errors import (
    AuthenticationError,
    MessageError,
    MissingDependencyError,
    RateLimitError,
)
from voxengine.providers.cascade.parts import (
    StreamingSTT,
    STTFailed,
    STTFinal,
    STTPartial,
    STTSpeechStarted,
    STTUsage,
)
from voxengine.providers.google_stt import stt as module
from voxengine.providers.google_stt.shape import MAX_CHUNK_BYTES, config_of, settings_of
from voxengine.providers.google_stt.stt import GoogleSTT
from voxengine.testing.emulators.google_stt import GoogleSTTEmulator

# Its poller keeps a socket on the loop as long as anything of it is alive; of our own nothing may be left (`hearing`).
pytestmark = pytest.mark.real_clock(leak_check=False)

FORMAT = AudioFormat("pcm16", 16000)
SAID = "go forward ten meters"


class Ears:
    """A stream, and what it told."""

    def __init__(self, stt: GoogleSTT) -> None:
        self.stt = stt
        self.events: list[Any] = []
        self.stream: Any = None
        self._came = asyncio.Event()

    def on_event(self, event: Any) -> None:
        self.events.append(event)
        self._came.set()

    async def say(self, text: str) -> None:
        audio = speak(text, FORMAT)
        for at in range(0, len(audio), 3200):
            self.stream.feed(audio[at : at + 3200])
            await asyncio.sleep(0)

    async def until(self, kind: type, count: int = 1) -> Any:
        async with asyncio.timeout(10):
            while len(found := [e for e in self.events if isinstance(e, kind)]) < count:
                self._came.clear()
                await self._came.wait()
        return found[count - 1]

    async def asked(self, count: int = 1) -> list[str]:
        """The words of all turns so far, when so many were asked for."""
        async with asyncio.timeout(10):
            while sum(isinstance(e, STTFinal) and e.asked for e in self.events) < count:
                self._came.clear()
                await self._came.wait()
        turns, words = [], []
        for event in self.events:
            if isinstance(event, STTFinal):
                words.append(event.text)
                if event.asked:
                    turns.append(" ".join(filter(None, words)))
                    words = []
        return turns


@asynccontextmanager
async def hearing(emulator: GoogleSTTEmulator, **options: Any) -> AsyncIterator[Ears]:
    more = {k: options.pop(k) for k in ("language", "vocabulary") if k in options}
    async with emulator:
        stt = GoogleSTT(options.pop("model", ""), {**emulator.metadata, **options})
        ears = Ears(stt)
        ears.stream = await stt.open(ears.on_event, session="s", **more)
        try:
            yield ears
        finally:
            await ears.stream.close()
            await stt.close()
    left = {task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}}
    assert not [name for name in left if name.startswith("google-stt")]


async def test_a_turn_is_written_down():
    async with hearing(GoogleSTTEmulator()) as ears:
        await ears.say(SAID)
        await ears.until(STTPartial)
        ears.stream.finalize()
        assert await ears.asked() == [SAID]
        (started,) = [e for e in ears.events if isinstance(e, STTSpeechStarted)]
        assert started.audio_ms == pytest.approx(0, abs=100)
        assert SAID.startswith((await ears.until(STTPartial)).text)
        final = await ears.until(STTFinal)
        assert (final.language, round(final.confidence, 1)) == ("en-US", 0.9)
        seconds = (await ears.until(STTUsage)).seconds
        assert seconds == pytest.approx(len(speak(SAID, FORMAT)) / 32000, abs=1)
        assert isinstance(ears.stt, StreamingSTT)


async def test_each_turn_is_a_call_of_its_own():
    emulator = GoogleSTTEmulator()
    async with hearing(emulator) as ears:
        await ears.say("one two")
        ears.stream.finalize()
        await ears.say("three four")  # while the last words of the first are awaited
        ears.stream.finalize()
        assert await ears.asked(2) == ["one two", "three four"]
        assert len(emulator.calls) == 2
        ears.stream.finalize()  # with nothing in it
        assert await ears.asked(3) == ["one two", "three four", ""]
        starts = [e.audio_ms for e in ears.events if isinstance(e, STTSpeechStarted)]
        assert starts[1] == pytest.approx(len(speak("one two", FORMAT)) / 32, abs=150)


async def test_what_is_configured_reaches_the_vendor():
    emulator = GoogleSTTEmulator(key="right")
    options: dict[str, Any] = {
        "model": "chirp_2",
        "api_key": "right",
        "location": "eu",
        "project": "mine",
        "language": "de-DE",
        "vocabulary": ["Vossberg", "Ilse Weber"],
        "endpointing": "short",
        "boost": 15,
    }
    async with hearing(emulator, **options) as ears:
        await ears.say(SAID)
        ears.stream.finalize()
        await ears.asked()
        first = emulator.calls[0].first
        assert first.recognizer == "projects/mine/locations/eu/recognizers/_"
        config = first.streaming_config.config
        assert (config.model, list(config.language_codes)) == ("chirp_2", ["de-DE"])
        (phrases,) = config.adaptation.phrase_sets
        told = [(p.value, p.boost) for p in phrases.inline_phrase_set.phrases]
        assert told == [("Vossberg", 15.0), ("Ilse Weber", 15.0)]
        sensitivity = first.streaming_config.streaming_features.endpointing_sensitivity
        assert sensitivity.name == "ENDPOINTING_SENSITIVITY_SHORT"


async def test_no_message_is_too_large():
    emulator = GoogleSTTEmulator()
    async with hearing(emulator) as ears:
        ears.stream.feed(speak(" ".join(["word10"] * 10), FORMAT))
        ears.stream.finalize()
        assert (await ears.asked())[0].split() == ["word10"] * 10
        assert max(emulator.calls[0].sizes) <= MAX_CHUNK_BYTES
        assert len(emulator.calls[0].sizes) > 1


async def test_a_call_is_followed_by_another_before_its_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_CALL_S", 1.5)
    emulator = GoogleSTTEmulator(max_call_s=2.5)
    async with hearing(emulator) as ears:
        for word in ("one", "two", "three", "four", "five", "six"):
            await ears.say(word)
            ears.stream.feed(bytes(32000))
            await asyncio.sleep(0.05)
        ears.stream.finalize()
        assert (await ears.asked())[0] == "one two three four five six"
        assert len(emulator.calls) >= 3
        assert not [e for e in ears.events if isinstance(e, STTFailed)]


async def test_a_call_that_the_vendor_ends_is_followed_by_another():
    emulator = GoogleSTTEmulator(max_call_s=0.5)
    async with hearing(emulator) as ears:
        ears.stream.feed(bytes(20000))
        await asyncio.sleep(0.2)
        ears.stream.feed(speak("one", FORMAT)[:9600])
        ears.stream.finalize()
        await ears.asked()
        assert len(emulator.calls) == 2
        assert not [e for e in ears.events if isinstance(e, STTFailed)]


@pytest.mark.parametrize(
    ("code", "kind", "ours"),
    [
        ("auth", AuthenticationError, "auth"),
        ("forbidden", AuthenticationError, "auth"),
        ("not_found", Exception, "not_found"),
        ("rate_limit", RateLimitError, "rate_limit"),
        ("quota", RateLimitError, "quota"),
        ("server_error", Exception, "server"),
        ("refused", Exception, "closed"),
    ],
)
async def test_refusals_have_our_names(code: str, kind: type[Exception], ours: str):
    # Where the refusal crosses with audio, gRPC does not tell why; then it is asked for once more.
    refusals = [f"refuse:code={code},connect={n}" for n in (1, 2)]
    async with hearing(GoogleSTTEmulator(faults=refusals)) as ears:
        await ears.say("hello")
        error: Any = (await ears.until(STTFailed)).error
        told: Any = error
        assert isinstance(error, kind)
        assert (told.code, told.provider) == (ours, "google")


async def test_a_wrong_key_is_not_shown(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    async with hearing(GoogleSTTEmulator(key="right"), api_key="wr0ng-k3y") as ears:
        await ears.say("hello")
        failed = await ears.until(STTFailed)
        assert failed.error.code == "auth"
        assert "wr0ng-k3y" not in repr(failed) + str(failed.error) + repr(ears.stt) + caplog.text


async def test_it_is_lost_in_the_middle():
    async with hearing(GoogleSTTEmulator(faults="drop:after_chunks=2")) as ears:
        async with asyncio.timeout(5):
            while not [e for e in ears.events if isinstance(e, STTFailed)]:
                ears.stream.feed(bytes(640))
                await asyncio.sleep(0.01)
        (failed,) = [e for e in ears.events if isinstance(e, STTFailed)]
        assert (failed.error.code, failed.error.retryable) == ("closed", True)
        ears.stream.feed(bytes(640))
        ears.stream.finalize()  # nothing comes of either
        await asyncio.sleep(0.05)
        assert isinstance(ears.events[-1], STTFailed | STTUsage)


async def test_last_words_do_not_take_for_ever():
    emulator = GoogleSTTEmulator(faults="stall:after_chunks=0")
    async with hearing(emulator, timeout_s=0.2) as ears:
        await ears.say("hello")
        ears.stream.finalize()
        assert (await ears.until(STTFailed)).error.code == "timeout"


async def test_an_unknown_model_is_refused():
    async with hearing(GoogleSTTEmulator(), model="parrot") as ears:
        await ears.say("hello")
        error = (await ears.until(STTFailed)).error
        assert isinstance(error, MessageError)
        assert "parrot" in str(error)


async def test_nothing_comes_after_the_end():
    async with hearing(GoogleSTTEmulator()) as ears:
        await ears.say(SAID)
        await ears.stream.close()
        await ears.stream.close()
        ears.stream.feed(bytes(640))
        ears.stream.finalize()
        count = len(ears.events)
        await asyncio.sleep(0.1)
        assert len(ears.events) == count


async def test_the_official_client_is_understood():
    from google.cloud import speech_v2
    from google.cloud.speech_v2.services.speech.transports import SpeechGrpcAsyncIOTransport
    from grpc import aio

    emulator = GoogleSTTEmulator()
    async with emulator, aio.insecure_channel(f"127.0.0.1:{emulator.port}") as channel:
        client = speech_v2.SpeechAsyncClient(transport=SpeechGrpcAsyncIOTransport(channel=channel))
        settings = settings_of("chirp_3", emulator.metadata)

        async def requests() -> AsyncIterator[Any]:
            yield speech_v2.StreamingRecognizeRequest(
                recognizer=settings.path, streaming_config=config_of(settings, "en-US", ())
            )
            audio = speak(SAID, FORMAT)
            for at in range(0, len(audio), 20000):
                yield speech_v2.StreamingRecognizeRequest(audio=audio[at : at + 20000])

        said = [
            result.alternatives[0].transcript
            async for response in await client.streaming_recognize(requests=requests())
            for result in response.results
            if result.is_final
        ]
        assert said == [SAID]


async def test_without_the_vendors_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    import sys

    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'voxengine\[google\]'"):
        await GoogleSTT("", {"project": "p"}).load()
