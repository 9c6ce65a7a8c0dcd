"""Recordings: both sides at their time, as heard, whole after a crash, and nobody else's to read."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
import time
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.engine.caller import Caller
from voxengine import events as ev
from voxengine.audio import AudioFormat
from voxengine.audio.signal import understand
from voxengine.gateway.recording import Recordings
from voxengine.gateway.recording.mixer import Said, place
from voxengine.testing.clock import EPOCH

RATE = 24000
FORMAT = AudioFormat()


class RecordedCaller(Caller):
    """A caller whose microphone is recorded too, as a client's audio is."""

    recording: Any = None

    async def _listen(self) -> None:
        send = self.engine.send_audio

        async def tapped(audio: bytes) -> None:
            await send(audio)
            if self.recording is not None:
                self.recording.user(audio)

        self.engine.send_audio = tapped  # type: ignore[method-assign]
        await super()._listen()


@asynccontextmanager
async def recorded(
    folder: Path, form: Any = "wav", **settings: Any
) -> AsyncIterator[RecordedCaller]:
    recordings = Recordings(folder)
    try:
        async with RecordedCaller(**settings) as caller:
            caller.recording = recordings.begin("call_1", EPOCH, caller.engine, form=form)
            yield caller
            await caller.recording.end()
    finally:
        await recordings.close()


def only(folder: Path) -> Path:
    (path,) = (p for p in folder.rglob("*") if p.is_file())
    return path


def read(path: Path) -> NDArray[np.int16]:
    """The samples, [n, 2]."""
    with wave.open(str(path)) as file:
        assert file.getnchannels() == 2
        assert file.getframerate() == RATE
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)


def sounding(side: NDArray[np.int16]) -> tuple[float, float]:
    """The seconds at which the sound of one side begins and ends."""
    loud = np.flatnonzero(np.abs(side.astype(np.int32)) > 500)
    return float(loud[0] / RATE), float(loud[-1] / RATE)


async def test_both_sides_are_there_at_their_time(tmp_path: Path) -> None:
    async with recorded(tmp_path, realtime_factor=8.0) as caller:
        await asyncio.sleep(1.5)
        seconds = caller.say("tell me")
        began = asyncio.get_running_loop().time()
        await caller.until(ev.AudioOutputStarted)
        answered = asyncio.get_running_loop().time() - began
        await caller.quiet()
        await asyncio.sleep(1)
        length = caller.recording.ms / 1000
    path = only(tmp_path)
    assert path == tmp_path / "2025-06-15" / "call_1.1.wav"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    samples = read(path)
    assert len(samples) / RATE == pytest.approx(length, abs=0.1)
    left, right = samples[:, 0], samples[:, 1]
    assert understand(left.tobytes(), FORMAT).strip() == "tell me"
    assert understand(right.tobytes(), FORMAT).strip() == "one two three four five six"
    begin, end = sounding(left)
    assert begin == pytest.approx(1.5, abs=0.1)
    assert begin < end <= 1.5 + seconds
    assert sounding(right)[0] == pytest.approx(1.5 + answered, abs=0.1)


async def test_what_was_cut_is_not_heard(tmp_path: Path) -> None:
    async with recorded(tmp_path, realtime_factor=8.0) as caller:
        caller.say("tell me")
        await caller.until(ev.AudioOutputStarted)
        await asyncio.sleep(0.9)
        caller.say("are you there")
        cut = await caller.until(ev.AudioOutputStopped)
        assert cut.interrupted
        at = caller.recording.ms / 1000
        stopped = int(at * RATE)
        await caller.quiet()
        (item,) = [i for i in caller.engine.conversation if i.interrupted]
    samples = read(only(tmp_path))
    answer = samples[:stopped, 1]
    assert sounding(answer)[1] <= at
    heard = understand(answer.tobytes(), FORMAT).split()
    assert item.text.split() == heard[: len(item.text.split())]
    assert "six" not in heard
    rest = samples[stopped:, 1]
    assert understand(rest.tobytes(), FORMAT).strip() == "yes i am"
    assert not rest[: RATE // 5].any()


async def test_a_telephone_is_recorded_at_the_rate_of_a_telephone(tmp_path: Path) -> None:
    formats = {"input_format": "pcm16@8000", "output_format": "g711_ulaw@8000"}
    async with recorded(tmp_path, config=formats) as caller:
        caller.say("tell me")
        await caller.quiet()
    with wave.open(str(only(tmp_path))) as file:
        assert (file.getframerate(), file.getnchannels()) == (8000, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    phone = AudioFormat(sample_rate=8000)
    assert understand(samples[:, 0].tobytes(), phone).strip() == "tell me"
    assert understand(samples[:, 1].tobytes(), phone).strip() == "one two three four five six"


async def test_opus_holds_the_same(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    async with recorded(tmp_path, "opus") as caller:
        caller.say("tell me")
        await caller.quiet()
        seconds = caller.recording.ms / 1000
    path = only(tmp_path)
    assert path.name == "call_1.1.ogg"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with av.open(str(path)) as file:
        (stream,) = file.streams.audio
        assert stream.codec.name in ("opus", "libopus")
        resampler = av.AudioResampler("s16", "stereo", RATE)
        frames = [r for f in file.decode(stream) for r in resampler.resample(f)]
        samples = np.concatenate([f.to_ndarray().reshape(-1, 2) for f in frames])
    assert len(samples) / RATE == pytest.approx(seconds, abs=0.2)
    assert path.stat().st_size < len(samples) * 4 / 5
    assert understand(samples[:, 0].tobytes(), FORMAT).strip() == "tell me"
    assert understand(samples[:, 1].tobytes(), FORMAT).strip() == "one two three four five six"


async def test_a_call_that_is_resumed_gets_a_further_file(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path)
    for _ in range(2):
        async with RecordedCaller() as caller:
            caller.recording = recordings.begin("call_1", EPOCH, caller.engine)
            await asyncio.sleep(2)
            await caller.recording.end()
            await caller.recording.end()
    files = await recordings.of("call_1", EPOCH)
    assert [p.name for p in files] == ["call_1.1.wav", "call_1.2.wav"]
    assert await recordings.of("call_11", EPOCH) == []
    assert await recordings.delete("call_1", EPOCH) == 2
    assert await recordings.of("call_1", EPOCH) == []
    for name in ("../x", "a/b", "", "x" * 200, "*"):
        with pytest.raises(ValueError, match="no id"):
            await recordings.of(name, EPOCH)
    await recordings.close()


async def test_days_that_are_over_are_removed(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path)
    for name in ("2025-06-13", "2025-06-14", "2025-06-15", "not a day"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "call_1.1.wav").touch()
    assert await recordings.purge(EPOCH) == 2
    assert names(tmp_path) == ["2025-06-15", "not a day"]
    await recordings.close()


async def test_a_disk_that_cannot_be_written_ends_the_recording_not_the_call(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "2025-06-15").write_text("in the way")
    async with recorded(tmp_path) as caller:
        caller.say("tell me")
        await caller.quiet()
        assert caller.recording.error
        assert caller.engine.conversation.messages[-1].text == "one two three four five six"
    assert (
        len([r for r in caplog.records if "recording of call call_1 has ended" in r.getMessage()])
        == 1
    )


# -- where a piece of audio belongs


def said(*arrivals: float, ms: float = 100) -> list[Said]:
    return [Said(bytes(FORMAT.n_bytes(ms)), at, FORMAT) for at in arrivals]


@pytest.mark.parametrize(
    ("arrivals", "begins"),
    [
        ((100, 200, 300), [0, 100, 200]),
        ((100, 212, 301), [0, 101, 201]),  # jitter
        ((100, 900), [0, 800]),  # a microphone that was off
        ((100, 510, 510, 510, 600), [0, 200, 300, 400, 500]),  # a stall: the burst fills the gap
        ((1, 1, 1, 1, 500), [0, 100, 200, 300, 400]),  # faster than it was spoken
    ],
)
def test_audio_is_placed_where_it_was_said(
    arrivals: tuple[float, ...], begins: list[float]
) -> None:
    assert place(said(*arrivals), 0.0) == begins


def test_nothing_is_written_twice() -> None:
    assert place(said(150, 160), 120.0) == [120.0, 220.0]


# -- death

_RECORDER = """
import asyncio, sys
from voxengine import VoiceEngine
from voxengine.gateway.recording import Recordings

async def main():
    async with VoiceEngine(provider="mock") as engine:
        recording = Recordings(sys.argv[1]).begin("call_1", 1.75e9, engine, form=sys.argv[2])
        frame = b"\\x00\\x20" * 480
        for n in range(100_000):
            recording.user(frame)
            await engine.send_audio(frame)
            await asyncio.sleep(0.02 if n > 400 else 0)

asyncio.run(main())
"""


@pytest.mark.real_clock
@pytest.mark.parametrize("form", ["wav", "opus"])
async def test_after_kill_9_it_can_be_played_as_far_as_it_went(tmp_path: Path, form: str) -> None:
    if form == "opus":
        pytest.importorskip("av")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _RECORDER, str(tmp_path), form
    )
    async with asyncio.timeout(40):
        await asyncio.to_thread(wait_for_bytes, tmp_path)
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
    path = only(tmp_path)
    if form == "wav":
        assert sounding(read(path)[:, 0])[1] > 1
        return
    import av

    with av.open(str(path)) as file:
        assert sum(frame.samples for frame in file.decode(audio=0)) > 48_000


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def wait_for_bytes(folder: Path) -> None:
    """Until a file has grown, and some time more."""
    ending = time.monotonic() + 30
    while not any(p.stat().st_size > 5_000 for p in folder.rglob("*") if p.is_file()):
        assert time.monotonic() < ending
        time.sleep(0.1)
    time.sleep(1)
