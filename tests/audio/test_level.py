from __future__ import annotations

import math

import numpy as np
import pytest

from voxengine.audio import AudioFormat, first_audible_ms, peak, rms_db, silence, trim_silence
from voxengine.audio.g711 import decode
from voxengine.errors import AudioError

FORMAT = AudioFormat("pcm16", 8000)


def pcm(*values: int) -> bytes:
    return np.array(values, "<i2").tobytes()


def test_level_of_known_signals() -> None:
    assert rms_db(pcm(-32768, -32768), FORMAT) == 0
    assert rms_db(pcm(3277, -3277), FORMAT) == pytest.approx(-20, abs=0.01)
    assert rms_db(bytes(100), FORMAT) == -math.inf
    assert rms_db(b"", FORMAT) == -math.inf
    assert peak(pcm(100, -32768), FORMAT) == 1.0
    assert peak(pcm(16384, -1), FORMAT) == 0.5
    assert peak(b"", FORMAT) == 0


def test_first_audible_sample() -> None:
    audio = bytes(2 * 80) + pcm(327, -328, 0)
    assert first_audible_ms(audio, FORMAT) == 81 / 8
    assert first_audible_ms(audio, FORMAT, threshold=0.02) is None
    assert first_audible_ms(b"", FORMAT) is None
    # In stereo, a frame is two samples.
    stereo = AudioFormat("pcm16", 8000, 2)
    assert first_audible_ms(bytes(4 * 8) + pcm(0, 20000), stereo) == 1.0


@pytest.mark.parametrize("encoding", ["pcm16", "g711_ulaw", "g711_alaw"])
def test_silence_is_silent_and_as_long_as_asked(encoding: str) -> None:
    format = AudioFormat(encoding, 8000)
    quiet = silence(12.5, format)
    assert format.duration_ms(len(quiet)) == 12.5
    assert peak(quiet, format) <= 8 / 32768
    if encoding != "pcm16":
        assert set(decode(quiet, encoding)[::2]) <= {0, 8}


def test_trimming_keeps_what_is_asked_for() -> None:
    samples = np.zeros(8000, np.float32)
    samples[3000:5000] = 0.5
    trimmed = trim_silence(samples, 8000, lead_ms=10, trail_ms=20)
    assert len(trimmed) == 80 + 2000 + 160
    assert trimmed[80] == 0.5
    assert trimmed[79] == 0
    assert len(trim_silence(samples, 8000, lead_ms=10_000, trail_ms=10_000)) == 8000
    assert len(trim_silence(np.zeros(100, np.float32), 8000, 10, 10)) == 0


def test_trimming_int16_at_its_limits() -> None:
    samples = np.zeros(100, np.int16)
    samples[50] = -32768
    assert trim_silence(samples, 8000).tolist() == [-32768]


def test_wrong_audio_is_refused() -> None:
    for function in (rms_db, peak, first_audible_ms):
        with pytest.raises(AudioError, match="whole number"):
            function(b"\0", FORMAT)
