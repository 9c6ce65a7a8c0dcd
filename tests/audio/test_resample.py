from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from voxengine.audio import AudioFormat, Converter, Resampler, converter_for
from voxengine.audio.g711 import decode, encode
from voxengine.errors import AudioError, ConfigurationError

Samples = np.ndarray[Any, np.dtype[Any]]

PAIRS = [
    (24000, 16000),
    (16000, 24000),
    (8000, 24000),
    (24000, 8000),
    (8000, 16000),
    (16000, 8000),
    (48000, 16000),
    (48000, 24000),
    (44100, 24000),
    (22050, 16000),
    (16000, 22050),
]


def tone(hertz: float, rate: int, seconds: float = 1.0, level: float = 16000) -> Samples:
    time = np.arange(round(rate * seconds)) / rate
    return np.asarray(level * np.sin(2 * np.pi * hertz * time))


def pcm(samples: Samples) -> bytes:
    return np.rint(samples).astype("<i2").tobytes()


def resample(audio: bytes, source: int, target: int, sizes: list[int] | None = None) -> Samples:
    """In chunks of random sizes (in samples), or at once."""
    resampler = Resampler(source, target)
    out = b""
    at = 0
    rnd = random.Random(7)
    while at < len(audio):
        size = 2 * rnd.choice(sizes) if sizes else len(audio)
        out += resampler.process(audio[at : at + size])
        at += size
    return np.frombuffer(out + resampler.flush(), "<i2").astype(float)


def snr_db(heard: Samples, wanted: Samples) -> float:
    # Without the edges: before and after the tone there is nothing, which is not a tone.
    inner = slice(len(heard) // 10, -len(heard) // 10)
    noise = ((heard[inner] - wanted[inner]) ** 2).mean()
    return float(10 * np.log10((wanted[inner] ** 2).mean() / noise))


@pytest.mark.parametrize(("source", "target"), PAIRS)
@pytest.mark.parametrize("hertz", [300, 1000, 3300])
def test_a_pure_tone_stays_pure_and_in_time(source: int, target: int, hertz: int) -> None:
    heard = resample(pcm(tone(hertz, source)), source, target)
    assert len(heard) == target
    assert snr_db(heard, tone(hertz, target)) > 78


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_stream_is_the_same_as_all_at_once(source: int, target: int) -> None:
    noise = np.random.default_rng(1).normal(0, 4000, source // 2)
    whole = resample(pcm(noise), source, target)
    streamed = resample(pcm(noise), source, target, sizes=[1, 2, 7, 80, 160, 333, 960])
    assert len(streamed) == len(whole)
    assert np.abs(streamed - whole).max() <= 1


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_speech_sounds_as_with_the_reference(source: int, target: int, recording: Any) -> None:
    soxr = pytest.importorskip("soxr")
    speech = np.frombuffer(recording("go_forward_ten_meters").read_bytes()[44:], "<i2")
    speech = soxr.resample(speech, 16000, source, "VHQ").astype(float)
    wanted = soxr.resample(speech, source, target, "VHQ")
    heard = resample(pcm(speech), source, target)
    assert abs(len(heard) - len(wanted)) <= 1
    n = min(len(heard), len(wanted))
    # They differ where the narrower band ends, between 0.42 and 0.5 of the lower rate.
    assert snr_db(heard[:n], wanted[:n]) > 30


@pytest.mark.parametrize("hertz", [4400, 6000, 7900, 11000])
def test_what_the_target_cannot_hold_does_not_fold_back(hertz: int) -> None:
    heard = resample(pcm(tone(hertz, 24000)), 24000, 8000)[800:-800]
    assert np.abs(heard).max() <= 3


def test_a_constant_stays_constant() -> None:
    heard = resample(pcm(np.full(8000, 12345.0)), 8000, 24000)[500:-500]
    assert (heard == 12345).all()


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_never_holds_more_than_its_delay(source: int, target: int) -> None:
    resampler = Resampler(source, target)
    fed = made = 0.0
    frame = bytes(2 * (source // 50))
    for _ in range(100):
        fed += 20
        made += len(resampler.process(frame)) / 2 * 1000 / target
        held = fed - made
        assert held <= resampler.delay_ms + 1000 / target
    assert resampler.delay_ms <= 24 * 1000 / min(source, target) * 1.1


def test_loud_audio_is_clipped_and_does_not_wrap() -> None:
    square = np.sign(tone(100, 16000)) * 32767
    heard = resample(pcm(square), 16000, 24000)
    # A square wave overshoots; wrapped around, the overshoot would be of the other sign.
    wanted = np.sign(tone(100, 24000, level=1))
    inside = np.abs(np.sin(2 * np.pi * 100 * np.arange(24000) / 24000)) > 0.2
    assert (np.sign(heard)[inside] == wanted[inside]).all()
    assert heard.max() == 32767


def test_odd_bytes_are_refused_and_the_stream_goes_on() -> None:
    resampler = Resampler(16000, 8000)
    resampler.process(bytes(640))
    with pytest.raises(AudioError, match="whole number"):
        resampler.process(b"\0\0\0")
    assert len(resampler.process(bytes(640))) == 320


def test_reset_forgets() -> None:
    resampler = Resampler(16000, 8000)
    resampler.process(pcm(tone(440, 16000)))
    resampler.reset()
    assert not any(resampler.process(bytes(3200)) + resampler.flush())


def test_flush_begins_anew() -> None:
    resampler = Resampler(24000, 16000)
    audio = pcm(tone(440, 24000, 0.1))
    first = resampler.process(audio) + resampler.flush()
    assert resampler.process(audio) + resampler.flush() == first


def test_equal_rates_cost_nothing() -> None:
    audio = bytes(10)
    assert Resampler(16000, 16000).process(audio) is audio
    assert Resampler(16000, 16000).delay_ms == 0


@pytest.mark.parametrize("rates", [(0, 8000), (8000, 0), (8000, 1_000_000)])
def test_impossible_rates_are_refused(rates: tuple[int, int]) -> None:
    with pytest.raises(ConfigurationError, match="sample rate"):
        Resampler(*rates)


def test_a_very_long_chunk_is_converted_in_bounded_memory() -> None:
    import tracemalloc

    audio = bytes(2 * 16000 * 200)
    resampler = Resampler(16000, 24000)
    resampler.process(audio[:64])
    tracemalloc.start()
    out = resampler.process(audio)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The result itself, once in pieces, once whole, once as bytes, and one slice of work.
    assert most < 3 * len(out) + 20_000_000


# --- Converter ---


def test_nothing_to_do_is_free() -> None:
    format = AudioFormat("pcm16", 24000)
    converter = Converter(format, AudioFormat("pcm16", 24000, frame_size=960))
    audio = b"not even looked at"
    assert converter.identity
    assert converter.process(audio) is audio
    assert converter.flush() == b""
    assert converter_for(format, format) is None


@pytest.mark.parametrize("law", ["g711_ulaw", "g711_alaw"])
def test_telephone_to_wideband_and_back(law: str) -> None:
    phone, wide = AudioFormat(law, 8000), AudioFormat("pcm16", 24000)
    sound = tone(1000, 8000)
    up, down = Converter(phone, wide), Converter(wide, phone)
    at_24 = up.process(encode(pcm(sound), law)) + up.flush()
    assert snr_db(np.frombuffer(at_24, "<i2").astype(float), tone(1000, 24000)) > 35
    back = down.process(at_24) + down.flush()
    assert len(back) == 8000
    heard = np.frombuffer(decode(back, law), "<i2").astype(float)
    assert snr_db(heard, sound) > 32


def test_one_law_to_the_other() -> None:
    converter = Converter(AudioFormat("g711_ulaw", 8000), AudioFormat("g711_alaw", 8000))
    codes = bytes(range(256))
    assert converter.process(codes) == encode(decode(codes, "g711_ulaw"), "g711_alaw")
    assert converter.delay_ms == 0


def test_stereo_becomes_mono_by_its_mean() -> None:
    converter = Converter(AudioFormat(channels=2), AudioFormat())
    stereo = np.array([[100, 300], [-32768, -32768], [32767, 32767], [1, -1]], "<i2")
    assert np.frombuffer(converter.process(stereo.tobytes()), "<i2").tolist() == [
        200,
        -32768,
        32767,
        0,
    ]


def test_mono_becomes_stereo_by_repetition() -> None:
    converter = Converter(AudioFormat(), AudioFormat(channels=2))
    assert converter.process(b"\x01\x00\x02\x00") == b"\x01\x00\x01\x00\x02\x00\x02\x00"


def test_channels_that_cannot_be_converted_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="mono"):
        Converter(AudioFormat(channels=2), AudioFormat(channels=3))
    with pytest.raises(ConfigurationError, match="mono"):
        Converter(AudioFormat(channels=2), AudioFormat("pcm16", 16000, 2))


def test_half_a_frame_is_refused() -> None:
    converter = Converter(AudioFormat(channels=2), AudioFormat())
    with pytest.raises(AudioError, match="whole number"):
        converter.process(bytes(6))
