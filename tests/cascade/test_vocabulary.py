"""Words to listen for, given to a recogniser that is called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tests.cascade.fakes import Call, FakeBrain, FakeSTT, FakeTTS, FakeTurn, FakeVAD, Voice
from voxengine import VoiceEngine
from voxengine import events as ev
from voxengine.providers.cascade import CascadeProvider
from voxengine.providers.cascade.local import LocalProvider
from voxengine.providers.cascade.parts import Transcription

if TYPE_CHECKING:
    from voxengine.providers.cascade.parts import Samples


class Listening(FakeSTT):
    takes_vocabulary = True

    def __init__(self, voice: Voice) -> None:
        super().__init__(voice)
        self.told: list[Sequence[str]] = []

    async def transcribe(
        self,
        samples: Samples,
        *,
        session: str,
        partial: bool = False,
        vocabulary: Sequence[str] = (),
    ) -> Transcription:
        self.told.append(vocabulary)
        return await super().transcribe(samples, session=session, partial=partial)


async def heard_with(**config: Any) -> tuple[Listening, str]:
    voice = Voice()
    stt = Listening(voice)
    async with Call(metadata={"stt": stt}, **config) as call:
        stt.voice = call.voice
        await call.say("hello there", pause_ms=2000)
        return stt, call.heard()[0]


async def test_it_is_given_the_words_of_the_session() -> None:
    stt, text = await heard_with(vocabulary=["Vossberg", "Ilse Weber"])
    assert text == "hello there"
    assert set(stt.told) == {("Vossberg", "Ilse Weber")}


async def test_without_any_it_is_called_as_all_are() -> None:
    stt, text = await heard_with()
    assert text == "hello there"
    assert set(stt.told) == {()}


async def test_one_that_takes_none_is_not_given_any() -> None:
    async with Call(vocabulary=["Vossberg"]) as call:
        await call.say("hello there", pause_ms=2000)
        assert call.heard() == ["hello there"]
        assert not call.provider.capabilities.vocabulary


def test_who_takes_them_says_so() -> None:
    assert LocalProvider.capabilities.vocabulary
    assert LocalProvider({}).capabilities.vocabulary
    assert CascadeProvider({"metadata": {"stt": "whisper/small.en"}}).capabilities.vocabulary
    assert CascadeProvider({"metadata": {"stt": Listening(Voice())}}).capabilities.vocabulary
    assert not CascadeProvider({"metadata": {"stt": FakeSTT(Voice())}}).capabilities.vocabulary


async def test_nobody_is_warned_where_they_are_used() -> None:
    warnings: list[str] = []
    stt = Listening(Voice())
    parts = {
        "vad": FakeVAD(),
        "turn": FakeTurn(300),
        "stt": stt,
        "llm": FakeBrain(),
        "tts": FakeTTS(),
    }
    engine = VoiceEngine(provider="cascade", vocabulary=["Vossberg"], metadata=parts)

    @engine.on("warning")
    async def warned(event: ev.SystemWarning) -> None:
        warnings.append(event.code)

    async with engine:
        pass
    assert "vocabulary_unused" not in warnings
