from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voxengine.audio import AudioFormat, StereoRecorder, WavWriter, read_wav
from voxengine.errors import AudioError, ConfigurationError

RATE = 8000
MONO = AudioFormat("pcm16", RATE)


def constant(value: int, ms: float, rate: int = RATE) -> bytes:
    return struct.pack("<h", value) * round(ms * rate / 1000)


def sides(path: Path) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    audio, format = read_wav(path)
    assert format == AudioFormat("pcm16", RATE, 2)
    both = np.frombuffer(audio, "<i2").reshape(-1, 2)
    return both[:, 0], both[:, 1]


def test_the_file_is_valid_while_it_is_being_written(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    writer = WavWriter(path, MONO)
    with pytest.raises(AudioError, match="no audio"):
        read_wav(path)
    for i in range(25):
        writer.write(constant(i, 100))
    # The header is at most a second behind, as if the process had died here.
    assert MONO.duration_ms(len(read_wav(path)[0])) == 2000
    writer.close()
    writer.close()
    assert MONO.duration_ms(len(read_wav(path)[0])) == 2500 == writer.duration_ms


def test_a_wav_ends_at_four_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxengine.audio.record._MAX_BYTES", 100)
    with WavWriter(tmp_path / "a.wav", MONO) as writer:
        writer.write(bytes(100))
        with pytest.raises(AudioError, match="4 GB"):
            writer.write(bytes(2))
    assert len(read_wav(tmp_path / "a.wav")[0]) == 100


def test_each_side_is_at_its_time(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    with StereoRecorder(path, RATE) as recorder:
        recorder.right(constant(7, 50), 400)
        recorder.left(constant(1, 100), 0)
        recorder.left(constant(2, 100), 200)
    left, right = sides(path)
    assert len(left) == 450 * 8
    assert (left[:800] == 1).all()
    assert (left[800:1600] == 0).all()
    assert (left[1600:2400] == 2).all()
    assert (right[:3200] == 0).all()
    assert (right[3200:] == 7).all()


def test_chunks_that_jitter_are_joined(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    with StereoRecorder(path, RATE) as recorder:
        for i in range(50):
            recorder.left(constant(5, 20), i * 20 + (i % 3) * 6)
    left, _ = sides(path)
    assert (left == 5).all()
    assert len(left) == 8000


def test_an_interruption_leaves_only_what_was_heard(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    with StereoRecorder(path, RATE) as recorder:
        recorder.right(constant(7, 5000), 1000)
        recorder.cut_right(1500)
        recorder.right(constant(8, 100), 2000)
        recorder.left(constant(1, 20), 3000)
    left, right = sides(path)
    assert (right[8000:12000] == 7).all()
    assert (right[12000:16000] == 0).all()
    assert (right[16000:16800] == 8).all()
    assert not right[16800:].any()
    assert left[24000] == 1


def test_other_formats_are_converted(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    phone, wide = AudioFormat("g711_ulaw", 8000), AudioFormat("pcm16", 24000)
    with StereoRecorder(path, RATE, left=phone, right=wide) as recorder:
        for i in range(10):
            recorder.left(b"\x80" * 160, i * 20)
            recorder.right(constant(1000, 20, 24000), i * 20)
    left, right = sides(path)
    assert (left == 32124).all()
    assert len(right) == 1600
    assert (np.abs(right[50:-50] - 1000) <= 1).all()


def test_an_hour_is_recorded_in_the_memory_of_the_window(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    second = constant(3, 1000)
    recorder = StereoRecorder(path, RATE, window_ms=20_000, settle_ms=2_000)
    for i in range(3600):
        recorder.left(second, i * 1000)
        assert len(recorder._window) <= 22 * RATE
    recorder.close()
    assert path.stat().st_size == 44 + 3600 * RATE * 4
    assert recorder.late_ms == 0


def test_speech_longer_than_the_window_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    with StereoRecorder(path, RATE, window_ms=10_000, settle_ms=1_000) as recorder:
        recorder.right(constant(7, 60_000), 500)
        recorder.right(constant(8, 1_000), 300_000)
        assert len(recorder._window) <= 12 * RATE
    _, right = sides(path)
    assert len(right) == 301 * RATE
    assert (right[RATE // 2 : RATE // 2 + 60 * RATE] == 7).all()
    assert not right[61 * RATE : 300 * RATE].any()
    assert (right[300 * RATE :] == 8).all()


def test_what_comes_too_late_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    with StereoRecorder(path, RATE, window_ms=10_000, settle_ms=1_000) as recorder:
        for i in range(10):
            recorder.left(constant(1, 1000), i * 1000)
        recorder.right(constant(9, 1000), 0)
        assert recorder.late_ms == 1000
        recorder.right(constant(9, 100), 9500)
        assert recorder.late_ms == 1000


def test_impossible_windows_and_broken_audio_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="too short"):
        StereoRecorder(tmp_path / "a.wav", RATE, window_ms=5000, settle_ms=5000)
    with StereoRecorder(tmp_path / "a.wav", RATE) as recorder:
        broken = b"\0"
        with pytest.raises(AudioError, match="whole number"):
            recorder.left(broken, 0)
