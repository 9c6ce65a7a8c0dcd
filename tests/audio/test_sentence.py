"""Sentences that are there as a recording."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.cascade_parts.speech import word_errors
from voxengine.audio import AudioFormat, Sentence, read_wav, write_wav
from voxengine.audio.sentence import LONGEST_S, SHIPPED, as_sentence, samples_of
from voxengine.data import SENTENCES, sentence_path
from voxengine.errors import AudioError, ConfigurationError


@pytest.fixture
def wav(tmp_path: Path) -> str:
    path = tmp_path / "hold.wav"
    write_wav(path, bytes(32000), AudioFormat(sample_rate=16000))
    return str(path)


@pytest.mark.parametrize("nothing", [None, False, "", "none"])
def test_nothing(nothing) -> None:
    assert as_sentence("apology", nothing) is None


def test_what_stands_for_a_sentence(wav) -> None:
    assert as_sentence("apology", wav) == as_sentence("apology", Path(wav)) == Sentence(audio=wav)
    both = Sentence("please hold", wav)
    assert as_sentence("apology", {"text": "please hold", "audio": wav}) == both
    assert as_sentence("apology", {"text": "please hold", "audio": Path(wav)}) == both
    assert as_sentence("apology", both) == both
    assert as_sentence("apology", {"text": "please hold"}) == Sentence("please hold")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3, "is the path of a WAV file"),
        (True, "is the path of a WAV file"),
        ({"words": "hello"}, "is the path of a WAV file"),
        ({}, "neither text nor audio"),
        ({"text": "  "}, "neither text nor audio"),
        ({"text": 3}, "text is a string"),
        ({"text": "hello", "audio": 3}, "audio the path"),
        ("/no/such/file.wav", "No such file"),
    ],
)
def test_what_does_not(value, words) -> None:
    with pytest.raises(ConfigurationError, match=words) as raised:
        as_sentence("goodbye", value)
    assert str(raised.value).startswith("goodbye")


def test_a_file_that_cannot_be_used(tmp_path, wav) -> None:
    noise, stereo, long = (tmp_path / name for name in ("n.wav", "s.wav", "l.wav"))
    noise.write_bytes(b"ID3" + bytes(100))
    write_wav(stereo, bytes(400), AudioFormat(sample_rate=16000, channels=2))
    rate = 8000
    write_wav(long, bytes(int(2 * rate * (LONGEST_S + 1))), AudioFormat(sample_rate=rate))
    for path, words in ((noise, "MP3"), (stereo, "2 channels"), (long, "lasts 61 s")):
        with pytest.raises(ConfigurationError, match=words):
            as_sentence("apology", str(path))


@pytest.mark.parametrize("name", ["pcm16@24000", "pcm16@8000", "g711_ulaw@8000", "g711_alaw@8000"])
def test_in_any_format_it_lasts_as_long(wav, name) -> None:
    encoding, _, rate = name.partition("@")
    format = AudioFormat(encoding, int(rate))
    assert format.duration_ms(len(samples_of(wav, format))) == pytest.approx(1000, abs=1)


def test_a_file_is_read_once(wav) -> None:
    format = AudioFormat(sample_rate=8000)
    first = samples_of(wav, format)
    Path(wav).unlink()
    assert samples_of(wav, format) is first
    with pytest.raises(FileNotFoundError):
        samples_of(wav, AudioFormat(sample_rate=24000))


def test_those_of_the_package() -> None:
    assert set(SHIPPED) == set(SENTENCES) == {"apology", "goodbye"}
    for name, sentence in SHIPPED.items():
        path = sentence_path(name)
        audio, format = read_wav(path)
        assert (format.sample_rate, format.channels) == (16000, 1)
        assert path.stat().st_size < 150_000
        assert as_sentence(name, sentence) is sentence
        letters_per_second = len(sentence.text) / (format.duration_ms(len(audio)) / 1000)
        assert 10 < letters_per_second < 25


def test_a_sentence_that_is_too_long_names_its_file(tmp_path) -> None:
    path = tmp_path / "l.wav"
    write_wav(path, bytes(int(2 * 8000 * (LONGEST_S + 1))), AudioFormat(sample_rate=8000))
    with pytest.raises(AudioError, match=r"l\.wav lasts"):
        samples_of(str(path), AudioFormat(sample_rate=8000))


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SENTENCES))
def test_the_words_can_be_understood(name) -> None:
    import numpy as np

    from voxengine.providers.cascade.local.whisper import WhisperSTT

    async def heard() -> str:
        stt = WhisperSTT()
        await stt.load()
        audio, _ = read_wav(sentence_path(name))
        samples = np.frombuffer(audio, "<i2").astype(np.float32) / np.float32(32768)
        return (await stt.transcribe(samples, session="test", partial=False)).text

    assert word_errors(SENTENCES[name], asyncio.run(heard())) == 0
