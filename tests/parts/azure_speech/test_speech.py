"""Azure Speech as parts of a cascade: the native client of the vendor, against the emulator of its protocol.

The client has threads of its own and the real clock, and so have these tests.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import speak, understand
from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    MissingDependencyError,
    ProviderError,
    RateLimitError,
)
from voxengine.providers.azure_speech import sdk, stt, tts
from voxengine.providers.azure_speech.stt import AzureSTT
from voxengine.providers.azure_speech.tts import AzureTTS
from voxengine.providers.cascade.parts import (
    Speech,
    SpokenWord,
    StreamingSTT,
    StreamingTTS,
    STTFailed,
    STTFinal,
    STTPartial,
    STTSpeechStarted,
    STTUsage,
)
from voxengine.providers.cascade.registry import create_part
from voxengine.testing.emulators.azure_speech import AzureSpeechEmulator
from voxengine.testing.emulators.azure_speech.usp import pack, unpack
from voxengine.testing.emulators.faults import Drop, Refuse
from voxengine.testing.oracles.azure_speech import Frame, SpeechJudge

pytest.importorskip("azure.cognitiveservices.speech")

KEY = "5p33ch" * 5
EARS = AudioFormat("pcm16", 16000)
MOUTH = AudioFormat("pcm16", 24000)
VARIABLES = (
    *("AZURE_SPEECH_KEY", "SPEECH_KEY", "AZURE_SPEECH_REGION", "SPEECH_REGION"),
    "AZURE_SPEECH_ENDPOINT",
)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def azure() -> AsyncIterator[AzureSpeechEmulator]:
    async with AzureSpeechEmulator(key=KEY, pace=50.0) as emulator:
        yield emulator


def options(emulator: AzureSpeechEmulator, **more: Any) -> dict[str, Any]:
    return {"api_key": KEY, **emulator.metadata, **more}


def made(kind: str, spec: str, given: dict[str, Any]) -> Any:
    model = spec.partition("/")[2]
    return (stt.make if kind == "stt" else tts.make)(model, given)


class Ears:
    """A stream, and what it has told."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.stream: Any = None
        self._news = asyncio.Event()

    def hear(self, event: Any) -> None:
        self.events.append(event)
        self._news.set()

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, kind: type, n: int = 1) -> list[Any]:
        async with asyncio.timeout(10):
            while len(self.of(kind)) < n:
                self._news.clear()
                await self._news.wait()
        return self.of(kind)

    def say(self, text: str) -> None:
        audio = speak(text, EARS)
        for at in range(0, len(audio), 3200):
            self.stream.feed(audio[at : at + 3200])


@asynccontextmanager
async def listen(
    emulator: AzureSpeechEmulator, spec: str = "azure", **settings: Any
) -> AsyncIterator[Ears]:
    own = {n: settings.pop(n) for n in ("segmentation_ms", "api_key") if n in settings}
    part = made("stt", spec, options(emulator, **own))
    ears = Ears()
    ears.stream = await part.open(ears.hear, session="call", **settings)
    try:
        yield ears
    finally:
        await ears.stream.close()


# -- recognition


@pytest.mark.real_clock
async def test_words_are_guessed_while_they_are_said_and_final_when_asked(azure):
    async with listen(azure, "azure/de-DE", vocabulary=["Contoso", "Jessie"]) as ears:
        ears.say("go forward ten meters")
        await ears.until(STTPartial)
        ears.stream.finalize()
        await ears.until(STTUsage)
        guesses = [event.text for event in ears.of(STTPartial)]
        assert all("go forward ten meters".startswith(guess) for guess in guesses)
        assert ears.of(STTSpeechStarted)
        final = STTFinal("go forward ten meters", "de-DE", asked=True)
        assert [event for event in ears.events if isinstance(event, STTFinal)] == [final]
        assert ears.of(STTUsage)[0].seconds == pytest.approx(1.4, abs=0.2)
        # And at once again, without a word in between: the answer is that there was none.
        ears.stream.finalize()
        finals = await ears.until(STTFinal, 2)
        assert (finals[1].text, finals[1].asked) == ("", True)
        await ears.stream.close()
        session = azure.session
        assert (session.language, session.phrases) == ("de-DE", ["Contoso", "Jessie"])
        # The client itself takes no second request at once.
        assert session.of_path("audio.commit")
        told = len(ears.events)
        ears.stream.feed(bytes(3200))
        ears.stream.finalize()
        await ears.stream.close()
        assert len(ears.events) == told


@pytest.mark.real_clock
async def test_a_phrase_ends_by_silence_and_what_follows_is_another(azure):
    async with listen(azure, segmentation_ms=300) as ears:
        ears.say("go home")
        ears.stream.feed(bytes(EARS.n_bytes(700)))
        ears.say("now")
        [first] = await ears.until(STTFinal)
        assert (first.text, first.asked) == ("go home", False)
        ears.stream.finalize()
        second = (await ears.until(STTFinal, 2))[1]
        assert (second.text, second.asked) == ("now", True)
        assert azure.session.silence_ms == 300
        await ears.stream.close()


@pytest.mark.real_clock
async def test_where_the_service_does_not_answer_the_request_silence_ends_the_phrase():
    async with (
        AzureSpeechEmulator(key=KEY, acknowledges=False) as azure,
        listen(azure, turn_options={"silence_duration_ms": 300}) as ears,
    ):
        ears.say("go home")
        await ears.until(STTPartial)
        ears.stream.finalize()
        [final] = await ears.until(STTFinal)
        assert (final.text, final.asked) == ("go home", True)
        assert azure.session.silence_ms == 300
        # Where there was nothing to end, what is known counts after a while.
        ears.stream.finalize()
        final = (await ears.until(STTFinal, 2))[1]
        assert (final.text, final.asked) == ("", True)
        await ears.stream.close()


@pytest.mark.real_clock
async def test_a_connection_that_is_lost_is_told_once():
    # The client connects anew by itself, a few times; so the port is closed as well.
    async with AzureSpeechEmulator(key=KEY) as azure, listen(azure) as ears:
        ears.say("go forward ten meters")
        await ears.until(STTPartial)
        await azure.kill()
        async with asyncio.timeout(10):
            while not ears.of(STTFailed):
                ears.stream.feed(bytes(3200))
                await asyncio.sleep(0.1)
        [failed] = await ears.until(STTFailed)
        assert failed.error.retryable
        assert failed.error.provider == "azure"
        ears.stream.finalize()
        assert len(ears.of(STTFailed)) == 1


@pytest.mark.real_clock
async def test_refusals_have_their_errors_and_show_no_key(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    async with AzureSpeechEmulator(key=KEY) as azure:
        with pytest.raises(AuthenticationError) as failure:
            await listen(azure, api_key="n0t-the-key" * 3).__aenter__()
        assert "n0t-the-key" not in str(failure.value)
        voice = made("tts", "azure", options(azure, api_key="n0t-the-key" * 3))
        stream = await voice.open(voice=None, speed=1.0, session="call")
        stream.push("Hello.")
        with pytest.raises(AuthenticationError) as failure:
            await read(stream)
        stream.push("More.")
        stream.end()
    async with AzureSpeechEmulator(key=KEY, faults=Refuse("rate_limit", times=0)) as azure:
        with pytest.raises(RateLimitError):
            await listen(azure).__aenter__()
    assert "n0t-the-key" not in caplog.text


@pytest.mark.real_clock
async def test_nobody_there():
    part = made("stt", "azure", {"api_key": KEY, "endpoint": "ws://127.0.0.1:9"})
    with pytest.raises(ProviderError) as failure:
        await part.open(print, session="call")
    assert failure.value.code == "closed"
    assert failure.value.retryable


# -- synthesis


async def read(stream: Any) -> tuple[bytes, list[SpokenWord]]:
    audio = b""
    words: list[SpokenWord] = []
    async with asyncio.timeout(10):
        async for speech in stream:
            assert isinstance(speech, Speech)
            audio += speech.audio
            words += speech.words
    return audio, words


@pytest.mark.real_clock
async def test_speech_begins_before_the_text_has_ended_and_words_have_places(azure):
    part = made("tts", "azure/en-GB-SoniaNeural", options(azure, pitch="+5%"))
    stream = await part.open(voice=None, speed=1.2, session="call")
    stream.push(" ")
    stream.push("Go home, ")
    stream.push("now. And")
    stream.flush()
    pieces = aiter(stream)
    async with asyncio.timeout(10):
        first = await anext(pieces)
    assert first.audio
    stream.push(" stop.")
    stream.end()
    audio, words = first.audio, list(first.words)
    async with asyncio.timeout(10):
        async for speech in pieces:
            audio += speech.audio
            words += speech.words
    assert understand(audio, MOUTH) == "Go home, now. And stop."
    assert "".join(word.text for word in words) == "Go home, now. And stop."
    assert all(word.start_ms < word.end_ms for word in words)
    assert [*words] == sorted(words, key=lambda word: word.start_ms)
    assert words[-1].end_ms <= MOUTH.duration_ms(len(audio))
    [context] = azure.session.of_path("synthesis.context")
    assert context.body["synthesis"]["input"]["voiceName"] == "en-GB-SoniaNeural"
    assert '"rate": "1.2"' in str(context.body).replace("'", '"')
    assert "+5%" in str(context.body)


@pytest.mark.real_clock
async def test_nothing_to_say_asks_for_nothing(azure):
    part = made("tts", "azure", options(azure))
    stream = await part.open(voice="marin", speed=1.0, session="call")
    stream.push("  ")
    stream.end()
    stream.end()
    assert await read(stream) == (b"", [])
    assert not azure.sessions or not azure.session.of_path("text.piece")


@pytest.mark.real_clock
async def test_speech_that_is_called_off_ends_at_once():
    async with AzureSpeechEmulator(key=KEY, pace=1.0) as azure:
        part = made("tts", "azure", options(azure))
        stream = await part.open(voice=None, speed=1.0, session="call")
        stream.push("one two three four five six seven eight nine ten. ")
        pieces = aiter(stream)
        async with asyncio.timeout(10):
            await anext(pieces)
            assert await stream.cancel(100.0) is None
            assert [piece async for piece in pieces] == []
        assert await stream.cancel() is None
        stream.push("more")
        stream.end()


@pytest.mark.real_clock
async def test_speech_that_breaks_off_raises():
    faults = Drop(response=1, after_chunks=2, close_code=1011)
    async with AzureSpeechEmulator(key=KEY, pace=5.0, faults=faults) as azure:
        part = made("tts", "azure", options(azure))
        stream = await part.open(voice=None, speed=1.0, session="call")
        stream.push("one two three four five six seven eight nine ten. ")
        stream.end()
        with pytest.raises(ProviderError) as failure:
            await read(stream)
        assert failure.value.retryable
        assert KEY not in str(failure.value)


# -- what they are made with


def test_they_are_the_parts_that_they_say():
    ears = create_part("stt", "azure/fr-FR", {"speech_key": KEY, "region": "westus2"})
    mouth = create_part("tts", "azure", {"speech_key": KEY, "region": "westus2"})
    assert isinstance(ears, AzureSTT)
    assert isinstance(ears, StreamingSTT)
    assert isinstance(mouth, AzureTTS)
    assert isinstance(mouth, StreamingTTS)
    assert ears.takes_vocabulary
    assert not ears.detects_turns
    assert (ears.language, mouth.voice) == ("fr-FR", "en-US-AvaNeural")
    assert KEY not in repr(vars(ears)) + repr(vars(mouth))


@pytest.mark.parametrize(
    ("kind", "spec", "given", "words"),
    [
        ("stt", "azure", {}, "api_key"),
        ("stt", "azure", {"api_key": KEY}, "region"),
        ("stt", "azure", {"api_key": KEY, "region": "eastus", "volume": 1}, "volume"),
        ("stt", "azure/not a language", {"api_key": KEY, "region": "eastus"}, "language"),
        ("stt", "azure", {"api_key": KEY, "region": "e", "segmentation_ms": 5}, "100"),
        ("tts", "azure", {"api_key": KEY, "region": "e", "style": 5}, "style"),
    ],
)
def test_what_does_not_do_is_said(kind: str, spec: str, given: dict[str, Any], words: str):
    with pytest.raises(ConfigurationError) as failure:
        made(kind, spec, given)
    assert words in str(failure.value)
    assert KEY not in str(failure.value)


async def test_without_the_client_the_command_is_told(monkeypatch: pytest.MonkeyPatch):
    async def missing(_: str) -> Any:
        raise ImportError("no module named azure")

    monkeypatch.setattr(sdk, "load_module", missing)
    for kind in ("stt", "tts"):
        part = made(kind, "azure", {"api_key": KEY, "region": "eastus"})
        with pytest.raises(MissingDependencyError, match=r"voxengine\[azure-speech\]"):
            await part.load()


# -- the emulator


def test_frames_go_both_ways_and_are_judged():
    judge = SpeechJudge()
    request = {"X-RequestId": "0" * 32}
    text = Frame("turn.end", request, {})
    audio = Frame("audio", {**request, "X-StreamId": "1"}, b"\1\2")
    for frame in (text, audio):
        back = unpack(pack(frame))
        assert (back.path, back.body) == (frame.path, frame.body)
        assert judge.server(back) == []
    assert judge.server(Frame("turn.end", request, {"more": 1}))
    assert judge.server(Frame("turn.over", request, {}))
    assert judge.client(Frame("audio.commit", request, ""))
    assert judge.client(Frame("text.piece", {"X-RequestId": "7"}, "hello"))
    assert len(judge.violations) == 4
    figures = judge.figures()
    assert (figures["server_events_sent"], figures["server_events_valid"]) == (4, 2)
    with pytest.raises(ValueError, match="path"):
        unpack("no headers at all")
