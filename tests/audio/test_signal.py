from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxengine.audio import AudioFormat, Converter, first_audible_ms, rms_db, silence
from voxengine.audio.signal import (
    SpokenWord,
    crc8,
    duration_ms,
    speak,
    timeline,
    understand,
    understand_words,
)
from voxengine.audio.wav import read_wav
from voxengine.errors import AudioError, ConfigurationError

FORMAT = AudioFormat("pcm16", 24000)
PHONE = AudioFormat("g711_ulaw", 8000)
TEN = "one two three four five six seven eight nine ten"
FORMATS = [
    AudioFormat("pcm16", 8000),
    AudioFormat("pcm16", 11025),
    AudioFormat("pcm16", 16000),
    AudioFormat("pcm16", 22050),
    FORMAT,
    AudioFormat("pcm16", 44100),
    AudioFormat("pcm16", 48000),
    AudioFormat("pcm16", 24000, 2),
    PHONE,
    AudioFormat("g711_alaw", 8000),
]


def convert(audio: bytes, source: AudioFormat, target: AudioFormat) -> bytes:
    converter = Converter(source, target)
    return converter.process(audio) + converter.flush()


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_what_is_said_is_understood(format: AudioFormat) -> None:
    text = f"{TEN} 你好 🙂🙂 naïve don't, {'very' * 40}"
    audio = speak(text, format)
    assert understand(audio, format) == text
    assert format.duration_ms(len(audio)) == pytest.approx(duration_ms(text), abs=0.5)
    for heard, said in zip(understand_words(audio, format), timeline(text), strict=True):
        assert heard.word == said.word
        assert heard.start_ms == pytest.approx(said.start_ms, abs=1)
        assert heard.end_ms == pytest.approx(said.end_ms, abs=1)


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
def test_it_survives_a_telephone_call(rate: int) -> None:
    format = AudioFormat("pcm16", rate)
    called = convert(convert(speak(TEN, format), format, PHONE), PHONE, format)
    assert understand(called, format) == TEN


@given(st.text(max_size=40), st.sampled_from([8000, 16000]))
def test_any_text_of_any_script(text: str, rate: int) -> None:
    format = AudioFormat("pcm16", rate)
    wanted = " ".join(text.split()).encode("utf-8", "replace").decode()
    assert understand(speak(text, format, ms_per_word=0), format) == wanted


@given(st.floats(0, 3600), st.booleans())
def test_cut_audio_holds_the_words_before_the_cut(cut: float, followed: bool) -> None:
    audio = speak(TEN, FORMAT)[: FORMAT.n_bytes(cut)]
    if followed:
        audio += silence(200, FORMAT)
    heard = understand(audio, FORMAT).split()
    surely = [w.word for w in timeline(TEN) if w.end_ms <= cut]
    perhaps = [w.word for w in timeline(TEN) if w.end_ms <= cut + 3]
    assert heard in (surely, perhaps)


@given(st.floats(0, 3400), st.floats(5, 300))
def test_a_hole_takes_only_the_words_that_it_touches(start: float, length: float) -> None:
    audio = bytearray(speak(TEN, FORMAT))
    hole = slice(FORMAT.n_bytes(start), FORMAT.n_bytes(start + length))
    audio[hole] = bytes(len(audio[hole]))
    heard = understand(bytes(audio), FORMAT).split()
    whole = [w.word for w in timeline(TEN) if w.end_ms <= start or w.start_ms >= start + length]
    touched = [
        w.word for w in timeline(TEN) if w.end_ms <= start + 3 or w.start_ms >= start + length - 3
    ]
    assert [w for w in heard if w in whole] == whole
    assert set(heard) <= set(touched)


def test_missing_audio_in_mid_word_is_not_understood() -> None:
    word = "extraordinary"
    audio = speak(word, FORMAT)
    cut = FORMAT.n_bytes(100)
    # Exactly one symbol is gone, so that only the length and the check can tell.
    assert understand(audio[:cut] + audio[cut + FORMAT.n_bytes(20) :], FORMAT) == ""
    assert understand(audio[:cut] + bytes(FORMAT.n_bytes(20)) + audio[cut:], FORMAT) == ""


def test_a_word_of_whole_but_wrong_symbols_is_not_understood() -> None:
    right, other = speak("aaaa", FORMAT), speak("abaa", FORMAT)
    # The fourth symbol, the second letter, comes from the other word.
    second = slice(FORMAT.n_bytes(60), FORMAT.n_bytes(80))
    mixed = bytearray(right)
    mixed[second] = other[second]
    assert understand(bytes(mixed), FORMAT) == ""


def test_the_rest_of_a_long_word_is_not_a_word() -> None:
    word = "a" * 70
    audio = speak(word, FORMAT)
    assert understand(audio, FORMAT) == word
    assert understand(audio[FORMAT.n_bytes(100) :], FORMAT) == ""


@pytest.mark.parametrize("snr", [10, 15, 30])
def test_noise(snr: int) -> None:
    samples = np.frombuffer(speak(TEN, FORMAT), "<i2").astype(float)
    noise = np.random.default_rng(3).normal(size=len(samples))
    noise *= np.sqrt((samples**2).mean()) * 10 ** (-snr / 20)
    noisy = np.clip(samples + noise, -32768, 32767).astype("<i2").tobytes()
    assert understand(noisy, FORMAT) == TEN


@pytest.mark.parametrize("gain", [0.05, 0.3, 1.8])
def test_level(gain: float) -> None:
    samples = np.frombuffer(speak(TEN, FORMAT), "<i2") * gain
    assert understand(samples.astype("<i2").tobytes(), FORMAT) == TEN


@given(st.integers(0, 5000))
def test_any_offset(offset: int) -> None:
    assert understand(bytes(2 * offset) + speak("here I am", FORMAT), FORMAT) == "here I am"


def test_words_take_the_time_they_are_given() -> None:
    assert duration_ms("a b c", ms_per_word=200) == 600
    assert FORMAT.duration_ms(len(speak("a b c", FORMAT, ms_per_word=200))) == 600
    assert timeline("a b", ms_per_word=200) == [SpokenWord("a", 0, 80), SpokenWord("b", 200, 280)]
    # A word that needs longer gets longer.
    assert duration_ms("abcdefghij", ms_per_word=200) == (10 + 3) * 20 + 40
    with pytest.raises(ConfigurationError):
        speak("a", FORMAT, ms_per_word=-1)


def test_no_words_no_sound() -> None:
    assert speak("", FORMAT) == speak(" \n", FORMAT) == b""
    assert duration_ms("") == 0
    assert understand(b"", FORMAT) == ""


def test_it_is_loud_like_speech_and_begins_at_once() -> None:
    audio = speak(TEN, FORMAT)
    assert -23 < rms_db(audio, FORMAT) < -15
    first = first_audible_ms(audio, FORMAT)
    assert first is not None
    assert first < 1
    assert speak(TEN, FORMAT) == audio


def test_people_are_not_understood(recording: Callable[[str], Path]) -> None:
    for name in ("jfk", "sense_and_sensibility_0870", "go_forward_ten_meters"):
        audio, format = read_wav(recording(name))
        assert understand(audio, format) == ""
    noise = np.random.default_rng(5).normal(0, 8000, 24000 * 10)
    assert understand(noise.clip(-32768, 32767).astype("<i2").tobytes(), FORMAT) == ""


def test_wrong_audio_is_refused() -> None:
    with pytest.raises(AudioError, match="whole number"):
        understand(b"\0\0\0", FORMAT)


def test_crc8_has_its_published_value() -> None:
    # What catalogues of CRCs give for CRC-8/SMBUS over the nine digits.
    assert crc8(b"123456789") == 0xF4


def test_ten_words_are_said_in_five_milliseconds() -> None:
    speak("warm up", FORMAT)
    best = 1.0
    for i in range(5):
        # Not from the cache of words.
        text = " ".join(f"{word}{i}" for word in TEN.split())
        begun = time.perf_counter()
        speak(text, FORMAT)
        best = min(best, time.perf_counter() - begun)
    assert best < 0.005
