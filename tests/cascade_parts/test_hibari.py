from __future__ import annotations

import asyncio

import numpy as np
import pytest
import soxr  # type: ignore[import-untyped,unused-ignore]

from tests.cascade_parts.speech import word_errors
from voxengine.errors import ConfigurationError, ProviderError
from voxengine.providers.cascade.local.hibari import CHUNK_BYTES, HibariTTS, pronounceable
from voxengine.providers.cascade.local.whisper import WhisperSTT
from voxengine.providers.cascade.parts import TTS

LONG = (
    "This is a very long sentence, which goes on and on, because somebody thought that it would be a good idea to "
    "test what happens when the engine is asked to say a great many words, one after another, without ever coming "
    "to a full stop, so that the first audio might come late."
)


@pytest.fixture(scope="module")
def tts() -> HibariTTS:
    made = HibariTTS()
    asyncio.run(made.load())
    assert isinstance(made, TTS)
    return made


async def pieces(
    tts: HibariTTS, text: str, voice: str | None = None, speed: float = 1.0
) -> list[bytes]:
    return [
        got.audio async for got in tts.synthesize(text, voice=voice, speed=speed, session="test")
    ]


def spoken(tts: HibariTTS, text: str, **options: object) -> np.ndarray:
    audio = b"".join(asyncio.run(pieces(tts, text, **options)))  # type: ignore[arg-type]
    return np.frombuffer(audio, "<i2").astype(np.float32) / 32768


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hello there.", "Hello there."),
        ("Hi 😀 friend 你好!", "Hi friend!"),
        ("**Bold** and [a link](https://x.org).", "Bold and a link."),
        ("It costs $42.60 — really.", "It costs $42.60 — really."),
        ("Café naïve", "Café naïve"),
        ("你好，世界。", ""),
        ("😀🎉", ""),
        ("Привет", ""),
        ("...", ""),
        ("", ""),
        (" \n\t", ""),
    ],
)
def test_pronounceable(text, said):
    assert pronounceable(text).replace(" !", "!") == said


@pytest.mark.models
class TestVoice:
    @pytest.mark.parametrize(
        "text", ["", "   ", "😀🎉", "你好，世界。", "...", "!?", "— —", "«»", "```code```"]
    )
    def test_nothing_to_say_is_no_audio_and_no_error(self, tts, text):
        assert asyncio.run(pieces(tts, text)) == []

    @pytest.mark.parametrize(
        "text",
        [
            "I moved forward ten meters.",
            "The weather will be sunny tomorrow, with a light wind from the west.",
            "Please tell me your name.",
            "Your appointment is on Monday, 😀 and it starts in the afternoon.",
            LONG,
        ],
    )
    def test_what_is_said_can_be_read_back(self, tts, text):
        heard = asyncio.run(
            WhisperSTT().transcribe(soxr.resample(spoken(tts, text), 24000, 16000), session="test")
        ).text
        assert word_errors(text, heard) <= 1 + len(text.split()) // 20, heard

    def test_silences_are_trimmed(self, tts):
        samples = spoken(tts, "Hello there.")
        loud = np.flatnonzero(np.abs(samples) > 0.01)
        assert loud[0] / 24 <= 21
        assert (len(samples) - loud[-1]) / 24 <= 121

    def test_pieces_are_short_and_whole_samples(self, tts):
        got = asyncio.run(pieces(tts, LONG))
        assert all(0 < len(piece) <= CHUNK_BYTES and len(piece) % 2 == 0 for piece in got)

    def test_same_text_same_samples(self, tts):
        assert np.array_equal(spoken(tts, LONG), spoken(HibariTTS(), LONG))

    def test_speed(self, tts):
        normal, fast = spoken(tts, LONG), spoken(tts, LONG, speed=1.5)
        assert 0.55 < len(fast) / len(normal) < 0.8
        assert np.array_equal(spoken(tts, "Hello.", speed=9.0), spoken(tts, "Hello.", speed=2.0))

    @pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf")])
    def test_speeds_that_are_none(self, tts, speed):
        with pytest.raises(ProviderError, match="positive number"):
            asyncio.run(pieces(tts, "Hello.", speed=speed))

    def test_unknown_voice(self, tts):
        with pytest.raises(ProviderError, match="it has heart, fenrir") as caught:
            asyncio.run(pieces(tts, "Hello.", voice="alloy"))
        assert caught.value.code == "unknown_voice"

    def test_a_long_sentence_begins_before_all_of_it_is_made(self, tts, monkeypatch):
        made: list[str] = []
        speak = HibariTTS._speak

        def record(self: HibariTTS, text: str, voice: str, speed: float) -> bytes:
            made.append(text)
            return speak(self, text, voice, speed)

        monkeypatch.setattr(HibariTTS, "_speak", record)

        async def first() -> None:
            stream = tts.synthesize(LONG, voice=None, speed=1.0, session="test")
            await anext(stream)
            await stream.aclose()  # interrupted: what is left is not made

        asyncio.run(first())
        assert len(made[0]) < len(LONG) / 2
        assert len("".join(made)) < len(LONG)

    @pytest.mark.parametrize(
        "text",
        ["a\x00b", "x" * 3000, "1 " * 300, "[odd](/ʒʒ/) 'quotes\" ((", "\ud83d broken", "Ω ≈ 3"],
    )
    def test_strange_texts_do_no_harm(self, tts, text):
        asyncio.run(pieces(tts, text))
        assert len(spoken(tts, "Hello."))


@pytest.mark.parametrize("options", [{"max_chars": 5}, {"lead_ms": -1}, {"threshold": -0.1}])
def test_numbers_that_make_no_sense_are_refused(options):
    with pytest.raises(ConfigurationError, match="hibari"):
        HibariTTS(**options)
