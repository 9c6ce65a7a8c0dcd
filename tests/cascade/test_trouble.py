"""Parts that fail, hang or talk nonsense: the caller is told, and the call goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.cascade.fakes import Call, FakeBrain, FakeSTT, FakeTTS, FakeVAD, Voice, silence
from voxengine import events as ev
from voxengine.errors import (
    ConfigurationError,
    ConnectionError,
    ModelError,
    ProviderError,
    UnsupportedFeatureError,
)
from voxengine.providers import create_provider
from voxengine.providers.cascade import CascadeProvider
from voxengine.providers.cascade.settings import APOLOGY


def once(failure: Any, then: str = "Better now.") -> FakeBrain:
    """Fails at its first answer."""
    answers = iter([failure])
    return FakeBrain(lambda _: next(answers, [then]))


@pytest.mark.parametrize(
    ("steps", "code", "after"),
    [
        ([ProviderError("down", code="refused")], "refused", 0.0),
        ([100.0, "late"], "timeout", 10.0),
        (["One sentence. Half a", ProviderError("cut", code="closed")], "closed", 0.0),
        (["One sentence. Half a", 100.0], "timeout", 10.0),
        ([ValueError("nonsense")], "internal", 0.0),
        ([object()], "bad_response", 0.0),
        ([], "empty_response", 0.0),
        ([" \n "], "empty_response", 0.0),
    ],
    ids=["down", "slow", "cut", "stalled", "raises", "garbage", "nothing", "blank"],
)
async def test_a_brain_that_fails(steps: list[Any], code: str, after: float) -> None:
    async with Call(brain=once(steps)) as call:
        await call.say("hello", pause_ms=500)
        await asyncio.sleep(after + 5)
        (error,) = call.all(ev.ResponseError)
        assert error.code == code
        assert error.error
        assert call.at(ev.ResponseError) - call.at(ev.ResponseStarted) == pytest.approx(
            after, abs=0.1
        )
        # The caller hears that something is wrong, in a response of its own.
        assert call.spoken().endswith(APOLOGY)
        assert "Half" not in call.spoken()
        assert len(call.all(ev.ResponseStarted)) == 2
        assert len(call.all(ev.ResponseCompleted)) == 1
        assert bool(call.all(ev.ErrorGeneral)) == (code == "internal")
        await asyncio.sleep(3)
        await call.say("again", pause_ms=2000)
        assert call.spoken().endswith("Better now.")


async def test_the_apology_is_optional() -> None:
    async with Call(brain=once([ValueError()]), metadata={"apology": False}) as call:
        await call.provider.send_text("hello")
        await asyncio.sleep(1)
        assert call.spoken() == ""
    async with Call(brain=once([ValueError()]), metadata={"apology": "Oh dear."}) as call:
        await call.provider.send_text("hello")
        await asyncio.sleep(1)
        assert call.spoken() == "Oh dear."


async def test_a_recogniser_that_fails() -> None:
    async with Call() as call:
        call.stt.fail = 1
        await call.say("hello", pause_ms=500)
        await asyncio.sleep(5)
        names = call.names()
        assert names[names.index("conversation_turn_detected") :][:6] == [
            "conversation_turn_detected",
            "transcript_failed",
            "response_started",
            "response_error",
            "usage_updated",
            "response_started",
        ]
        assert call.spoken() == APOLOGY
        await call.say("hello again", pause_ms=1000)
        assert call.heard() == ["hello again"]


async def test_a_recogniser_that_hangs() -> None:
    async with Call(stt_delay=1000, metadata={"stt_timeout": 3}) as call:
        await call.say("hello", pause_ms=500)
        await asyncio.sleep(5)
        assert [e.code for e in call.all(ev.ResponseError)] == ["timeout"]


async def test_a_recogniser_that_fails_on_a_part_of_a_long_turn() -> None:
    async with Call(metadata={"segment_s": 5}, partials=False) as call:
        call.stt.fail = 1
        words = [f"w{n}" for n in range(24)]
        await call.send(b"".join(call.voice.say(w, word_ms=256) + silence(64) for w in words))
        await call.send(silence(1000))
        assert call.heard()[0].endswith("w22 w23")
        assert [e.code for e in call.all(ev.SystemWarning)] == ["transcript_incomplete"]


async def test_a_failed_manual_turn() -> None:
    async with Call(turn_detection="none") as call:
        call.stt.fail = 1
        await call.say("hello")
        await call.provider.commit_audio()
        await call.provider.create_response()
        await asyncio.sleep(1)
        assert [e.code for e in call.all(ev.ResponseError)] == ["deaf"]
        assert call.all(ev.TranscriptFailed)


async def test_a_sentence_that_cannot_be_spoken_is_left_out() -> None:
    async with Call(brain=FakeBrain(lambda _: ["Good one. Bad one. Good two. "])) as call:
        call.tts.bad = "Bad"
        await call.provider.send_text("hello")
        await asyncio.sleep(3)
        assert call.spoken() == "Good one. Bad one. Good two. "
        texts = call.all(ev.TextOutput)
        assert texts[1].audio_start_ms == texts[1].audio_end_ms == texts[2].audio_start_ms
        assert [e.code for e in call.all(ev.SystemWarning)] == ["sentence_not_spoken"]
        assert call.all(ev.ResponseCompleted)


async def test_a_voice_that_fails() -> None:
    async with Call(brain=FakeBrain(lambda _: ["Bad one. Bad two. Good three. "])) as call:
        call.tts.bad = "Bad"
        await call.provider.send_text("hello")
        await asyncio.sleep(3)
        assert [e.code for e in call.all(ev.ResponseError)] == ["hoarse"]
    async with Call(brain=FakeBrain(lambda _: ["Only one."])) as call:
        call.tts.bad = ""
        await call.provider.send_text("hello")
        await asyncio.sleep(3)
        # The apology fails as well, and is not apologised for.
        assert [e.code for e in call.all(ev.ResponseError)] == ["hoarse", "hoarse"]


async def test_nothing_that_could_be_said() -> None:
    async with Call(brain=FakeBrain(lambda _: ["\N{GRINNING FACE}"])) as call:
        await call.provider.send_text("\N{GRINNING FACE}")
        await asyncio.sleep(1)
        assert call.spoken() == "\N{GRINNING FACE}"
        assert call.all(ev.ResponseCompleted)
        assert not call.all(ev.AudioOutputChunk)


class BrokenVAD(FakeVAD):
    def process(self, frame: Any) -> float:
        raise RuntimeError("broken")


async def test_a_broken_vad_is_an_error_of_the_call() -> None:
    async with Call(metadata={"vad": BrokenVAD()}) as call:
        with pytest.raises(ProviderError, match="voice activity"):
            await call.provider.send_audio(silence(100))
        await call.provider.send_text("hello")
        await asyncio.sleep(1)
        assert call.spoken() == "You said hello."


class Slow(FakeSTT):
    async def load(self) -> None:
        await asyncio.sleep(1000)


class Missing(FakeTTS):
    async def load(self) -> None:
        raise ModelError("hibari.onnx is not the pinned file")


class Refused(FakeBrain):
    async def load(self) -> None:
        raise ProviderError("nobody there", code="refused")


class Bug(FakeBrain):
    async def load(self) -> None:
        raise KeyError("x")


@pytest.mark.parametrize(
    ("part", "error", "code"),
    [
        ({"stt": Slow(Voice()), "load_timeout": 5}, ConnectionError, "timeout"),
        ({"tts": Missing()}, ModelError, "model"),
        ({"llm": Refused()}, ConnectionError, "refused"),
        ({"llm": Bug()}, ConnectionError, "part_failed"),
        ({"llm": "nobody"}, ConfigurationError, "configuration"),
        ({"llm": 7}, ConfigurationError, "configuration"),
    ],
    ids=["slow", "wrong model", "refused", "bug", "unknown", "no part"],
)
async def test_a_part_that_cannot_be_loaded(
    part: dict[str, Any], error: type[Exception], code: str
) -> None:
    call = Call(metadata=part)
    with pytest.raises(error):
        await call.provider.connect()
    assert call.names() == ["connection_starting", "connection_failed"]
    assert call.all(ev.ConnectionFailed)[0].code == code
    assert not call.provider.is_connected
    await call.provider.disconnect()


@pytest.mark.parametrize(
    "metadata",
    [
        {"speed": 0},
        {"vad_end": 0.9},
        {"partial_ms": -1},
        {"stt_timeout": "soon"},
        {"segment_s": 1},
        {"llm_options": 3},
    ],
    ids=str,
)
def test_settings_that_make_no_sense(metadata: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(metadata))):
        CascadeProvider({"metadata": metadata})


def test_general_settings_that_make_no_sense() -> None:
    with pytest.raises(ConfigurationError, match="semantic_vad"):
        CascadeProvider({"turn_detection": "semantic_vad"})
    with pytest.raises(ConfigurationError, match="smell"):
        CascadeProvider({"modalities": ["smell"]})


async def test_settings_in_mid_call() -> None:
    async with Call(voice="marin") as call:
        assert [e.code for e in call.all(ev.SystemWarning)] == ["voice_replaced"]
        await call.provider.update_session(
            voice="two", instructions="Be brief.", turn_detection="none"
        )
        assert call.all(ev.SessionUpdated)[0].settings["voice"] == "two"
        await call.provider.send_text("hello")
        await asyncio.sleep(2)
        assert call.brain.asked[0][0].text == "Be brief."
        assert call.tts.voices_used == ["two"]
        await call.say("hello", pause_ms=1000)
        assert not call.all(ev.TurnDetected)
        with pytest.raises(UnsupportedFeatureError):
            await call.provider.update_session(language="de")
        with pytest.raises(ConfigurationError):
            await call.provider.update_session(turn_detection="later")


def test_the_registered_providers() -> None:
    local = create_provider("local")
    assert local.capabilities.on_device
    assert local.capabilities.supports("continues_after_tool")
    assert not create_provider(
        "cascade", {"metadata": {"llm": "openai-chat/x"}}
    ).capabilities.on_device
    assert create_provider("cascade").capabilities.on_device
    assert create_provider("local", {"model": "openai-chat/x"}).capabilities.on_device is False
