"""Deepgram's ears: what comes of speech at the emulator, and in a cascade."""

from __future__ import annotations

import asyncio
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
    STTEagerEnd,
    STTEvent,
    STTFailed,
    STTFinal,
    STTPartial,
    STTResumed,
    STTSpeechStarted,
    STTStream,
    STTTurnEnded,
)
from voxengine.providers.cascade.registry import create_part, list_parts
from voxengine.providers.deepgram.listening import FluxEars, NovaEars
from voxengine.testing.emulators.deepgram import DeepgramEmulator
from voxengine.testing.emulators.faults import Drop, ErrorOnce, Malformed, Refuse, UnknownEvent

FORMAT = AudioFormat("pcm16", 16000)
KEY = "dg-emulated"
FLUX, NOVA = "flux-general-en", "nova-3"
both = pytest.mark.parametrize("model", [FLUX, NOVA])


class Ear:
    """A stream at the emulator, and what it has said."""

    def __init__(self, emulator: DeepgramEmulator, stream: STTStream, heard: list[STTEvent]):
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


@asynccontextmanager
async def ear(
    model: str, faults: Any = (), options: Any = None, **given: Any
) -> AsyncIterator[Ear]:
    heard: list[STTEvent] = []
    async with DeepgramEmulator(key=KEY, faults=faults) as emulator:
        part = create_part("stt", f"deepgram/{model}", {**emulator.part_options, **(options or {})})
        assert isinstance(part, StreamingSTT)
        await part.load()
        stream = await part.open(heard.append, session="call", **given)
        try:
            yield Ear(emulator, stream, heard)
        finally:
            await stream.close()
            told = len(heard)
            await asyncio.sleep(1)
            assert len(heard) == told, "nothing comes after it was closed"
    for judge in emulator.judges.values():
        assert judge.violations == []


def test_it_is_found_by_name():
    assert "deepgram" in list_parts("stt")
    part = create_part("stt", "deepgram", {"api_key": KEY})
    assert part.name == "deepgram/flux-general-en"
    assert part.detects_turns
    assert not create_part("stt", "deepgram/nova-3", {"api_key": KEY}).detects_turns


def test_what_is_wrong_with_its_options_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DEEPGRAM_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="DEEPGRAM_API_KEY"):
        create_part("stt", "deepgram")
    with pytest.raises(
        ConfigurationError, match=r"no option endpointing; known are .*eot_threshold"
    ):
        create_part("stt", "deepgram", {"api_key": KEY, "endpointing": 10})


async def test_flux_finds_a_turn_and_says_early_that_it_may_be_over():
    async with ear(FLUX) as flux:
        await flux.say("go forward ten meters")
        kinds = [type(event) for event in flux.heard]
        assert kinds[0] is STTSpeechStarted
        assert kinds[-2:] == [STTEagerEnd, STTTurnEnded]
        (early,), (end,) = flux.of(STTEagerEnd), flux.of(STTTurnEnded)
        assert early.text == end.text == "go forward ten meters"
        shown = [event.text for event in flux.of(STTPartial)]
        assert shown[-1] == "go forward ten meters"
        assert len(shown) >= 2
        assert len(set(shown)) == len(shown)


async def test_flux_takes_an_early_end_back():
    async with ear(FLUX) as flux:
        await flux.say("go forward", quiet_ms=200)
        await flux.say("ten meters")
        early = [type(e) for e in flux.heard if type(e) in (STTEagerEnd, STTResumed, STTTurnEnded)]
        assert early == [STTEagerEnd, STTResumed, STTEagerEnd, STTTurnEnded]
        assert flux.of(STTTurnEnded)[0].text == "go forward ten meters"


async def test_flux_says_nothing_early_where_that_is_not_wanted():
    async with ear(FLUX, options={"eager": False}) as flux:
        await flux.say("go forward")
        assert "eager_eot_threshold" not in flux.emulator.session.request.query
        assert flux.of(STTEagerEnd) == []
        assert len(flux.of(STTTurnEnded)) == 1


async def test_flux_ends_a_turn_when_it_is_asked_to():
    async with ear(FLUX) as flux:
        await flux.say("go forward", quiet_ms=100)
        flux.stream.finalize()
        await asyncio.sleep(0.3)
        assert [(e.text, e.asked) for e in flux.of(STTFinal)] == [("go forward", True)]
        assert flux.of(STTTurnEnded) == []
        await flux.say("ten meters")
        assert [e.text for e in flux.of(STTTurnEnded)] == ["ten meters"]


@both
async def test_who_asks_about_nothing_is_answered_all_the_same(model: str):
    async with ear(model) as deepgram:
        await deepgram.feed(silence(500, FORMAT))
        deepgram.stream.finalize()
        await asyncio.sleep(2)
        assert [(e.text, e.asked) for e in deepgram.of(STTFinal)] == [("", True)]


async def test_nova_gives_words_for_good_and_when_it_is_asked():
    async with ear(NOVA) as nova:
        await nova.say("go forward")
        assert [(e.text, e.asked) for e in nova.of(STTFinal)] == [("go forward", False)]
        assert nova.of(STTPartial)[0].text.startswith("go")
        assert nova.of(STTSpeechStarted)[0].audio_ms is not None
        await nova.say("ten meters", quiet_ms=100)
        nova.stream.finalize()
        await asyncio.sleep(0.3)
        last = nova.of(STTFinal)[-1]
        assert (last.text, last.asked) == ("ten meters", True)
        assert nova.of(STTTurnEnded) == []


@both
async def test_a_microphone_that_is_silent_does_not_end_it(model: str):
    async with ear(model) as deepgram:
        await asyncio.sleep(60)
        assert deepgram.of(STTFailed) == []
        await deepgram.say("go forward")
        assert (deepgram.of(STTTurnEnded) or deepgram.of(STTFinal))[0].text == "go forward"


@both
async def test_settings_are_in_the_address(model: str):
    given: dict[str, Any] = {
        "vocabulary": ["Deepgram", "voxengine"],
        "turn_options": {"eagerness": "low", "silence_duration_ms": 900},
        "options": {"mip_opt_out": True},
    }
    async with ear(model, **given) as deepgram:
        query = deepgram.emulator.session.request.query
        assert query["keyterm"] == "voxengine"
        assert (query["model"], query["mip_opt_out"]) == (model, "true")
        thresholds = {n: v for n, v in query.items() if "eot" in n}
        wanted = {"eot_threshold": "0.85", "eot_timeout_ms": "900", "eager_eot_threshold": "0.5"}
        assert thresholds == (wanted if model == FLUX else {})


def test_an_early_word_is_never_surer_than_the_last():
    part = create_part("stt", "deepgram", {"api_key": KEY, "eot_threshold": 0.4})
    assert "eager_eot_threshold=0.4" in part.url()
    german = create_part("stt", "deepgram/flux-general-multi", {"api_key": KEY}).url("de", ["Ulm"])
    assert "language_hint=de" in german
    assert "language=de" in create_part("stt", "deepgram/nova-3", {"api_key": KEY}).url("de")


@both
@pytest.mark.parametrize(
    ("fault", "error"),
    [(Refuse("rate_limit"), RateLimitError), (Refuse("auth"), AuthenticationError)],
)
async def test_a_refusal_is_raised(model: str, fault: Any, error: type[Exception]):
    with pytest.raises(error) as refused:
        async with ear(model, faults=fault):
            pass
    assert KEY not in str(refused.value)


@both
@pytest.mark.parametrize(
    ("fault", "code", "retryable"),
    [
        (Drop(close_code=1011, after_s=0.5), "closed", True),
        (Drop(close_code=1011, reason="NET-0001", after_s=0.5), "timeout", True),
        (Drop(close_code=1006, after_chunks=1), "closed", True),
        (ErrorOnce(code="internal_server_error", after_chunks=1), "server", True),
    ],
    ids=repr,
)
async def test_the_end_of_a_stream_is_told_once(model: str, fault: Any, code: str, retryable: bool):
    async with ear(model, faults=fault) as deepgram:
        await deepgram.say("go forward ten meters")
        (failed,) = deepgram.of(STTFailed)
        assert isinstance(failed, STTFailed)
        assert deepgram.heard[-1] is failed
        assert (failed.error.code, failed.error.retryable) == (code, retryable)


@both
@pytest.mark.parametrize("fault", [UnknownEvent(after_s=0.2), Malformed(after_s=0.2)], ids=repr)
async def test_what_nobody_knows_does_no_harm(model: str, fault: Any):
    async with ear(model, faults=fault) as deepgram:
        await deepgram.say("go forward")
        assert deepgram.of(STTFailed) == []
        assert (deepgram.of(STTTurnEnded) or deepgram.of(STTFinal))[0].text == "go forward"


def turn(event: str, text: str) -> bytes:
    return f'{{"type":"TurnInfo","event":"{event}","transcript":"{text}"}}'.encode()


def test_an_end_that_crosses_a_request_is_the_answer_to_it():
    ears = FluxEars()
    ears.read(turn("StartOfTurn", "go"))
    ears.ask()
    assert ears.read(turn("EndOfTurn", "go on")) == [STTFinal("go on", asked=True)]
    assert ears.late() == [], "there is one answer"
    assert ears.read(turn("EndOfTurn", "then")) == [STTTurnEnded("then")]


def test_words_that_were_asked_for_may_come_in_two_pieces():
    ears = NovaEars()
    ears.ask()
    final = '{"type":"Results","is_final":true,"from_finalize":%s,"channel":{"alternatives":[{"transcript":"%s"}]}}'
    assert ears.read((final % ("false", "go")).encode()) == [STTFinal("go")]
    assert ears.read((final % ("true", "on")).encode()) == [STTFinal("on", asked=True)]
    assert ears.read((final % ("true", "")).encode()) == []


@pytest.mark.parametrize("ears", [FluxEars(), NovaEars()])
@pytest.mark.parametrize("message", [b"", b"[]", b'{"type":7}', b'{"type":"Metadata"}'])
def test_what_cannot_be_read_means_nothing(ears: Any, message: bytes):
    assert ears.read(message) == []
