"""The real canceller, in a room that is computed: delay, decaying reflections, noise."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from voxengine.audio import AudioFormat, EchoCanceller, load_speech
from voxengine.errors import AudioError, ConfigurationError, MissingDependencyError

pytest.importorskip("pywebrtc_audio")

Samples = np.ndarray[Any, np.dtype[Any]]


def room(far: Samples, rate: int, delay_ms: int) -> Samples:
    """What a microphone hears of `far`: later, half as loud, with 150 ms of reverberation, and its own noise."""
    rng = np.random.default_rng(0)
    n = round(0.15 * rate)
    response = rng.normal(size=n) * np.exp(-np.arange(n) / (0.03 * rate))
    response[0] = 3
    response *= 0.5 / np.sqrt((response**2).sum())
    echo = np.convolve(far, response)
    late = np.zeros(delay_ms * rate // 1000)
    return np.concatenate((late, echo))[: len(far)] + rng.normal(0, 10, len(far))


def samples(path: Any, rate: int) -> Samples:
    return np.frombuffer(load_speech(path, AudioFormat("pcm16", rate)), "<i2").astype(float)


def pcm(x: Samples) -> bytes:
    return np.clip(x, -32768, 32767).astype("<i2").tobytes()


def cancel(canceller: EchoCanceller, near: Samples, far: Samples, block: int) -> Samples:
    out = b""
    for i in range(0, len(near) - block + 1, block):
        canceller.playback(pcm(far[i : i + block]))
        out += canceller.capture(pcm(near[i : i + block]))
    return np.frombuffer(out, "<i2").astype(float)


def power_db(x: Samples) -> float:
    return float(10 * np.log10((x**2).mean() + 1e-9))


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
@pytest.mark.parametrize("delay_ms", [10, 60])
def test_echo_is_down_by_20_db_after_three_seconds(
    rate: int, delay_ms: int, recording: Any
) -> None:
    far = samples(recording("jfk"), rate)
    near = room(far, rate, delay_ms)
    left = cancel(EchoCanceller(rate), near, far, rate // 50)
    after = slice(3 * rate, len(left))
    assert power_db(near[after]) - power_db(left[after]) > 20


def test_a_voice_in_the_room_comes_through(recording: Any) -> None:
    rate = 16000
    far = samples(recording("jfk"), rate)[: 6 * rate]
    voice = samples(recording("sense_and_sensibility_0880"), rate)
    # The engine has spoken for six seconds, and falls silent when the caller speaks.
    far = np.concatenate((far, np.zeros(len(voice))))
    near = room(far, rate, 60)
    near[6 * rate :] += voice
    left = cancel(EchoCanceller(rate, delay_ms=60), near, far, 320)
    heard, said = left[7 * rate :], near[7 * rate : len(left)]
    assert abs(power_db(heard) - power_db(said)) < 3


def test_reference_that_is_never_used_is_bounded() -> None:
    canceller = EchoCanceller(16000)
    for _ in range(1000):
        canceller.playback(bytes(640))
    assert len(canceller._reference) == 16000
    canceller.reset()
    assert len(canceller._reference) == 0
    # Without any reference, the microphone is still heard.
    assert len(canceller.capture(bytes(640))) == 640
    assert canceller.capture(b"") == b""


def test_the_delay_can_be_told() -> None:
    canceller = EchoCanceller(16000, delay_ms=40)
    assert canceller.delay_ms == 40
    canceller.delay_ms = 70
    assert canceller.delay_ms == 70


def test_wrong_frames_and_rates_are_refused() -> None:
    with pytest.raises(AudioError, match="tens of milliseconds"):
        EchoCanceller(16000).capture(bytes(322))
    with pytest.raises(AudioError, match="whole number"):
        EchoCanceller(16000).playback(b"\0")
    for rate in (4000, 11025):
        with pytest.raises(ConfigurationError, match="8000"):
            EchoCanceller(rate)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    with pytest.raises(MissingDependencyError, match=r"voxengine\[devices\]"):
        EchoCanceller(16000)
