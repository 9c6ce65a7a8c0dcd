"""The two tracks, on the virtual clock: what is spoken when, what was heard of it, and what stands for what is lost."""

from __future__ import annotations

import asyncio
import logging
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, CodecContext, Packet

import voxengine.gateway.webrtc.loudspeaker as rules
from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import speak, understand
from voxengine.events import AudioOutputChunk
from voxengine.gateway.webrtc.loudspeaker import Loudspeaker
from voxengine.gateway.webrtc.microphone import STALLED_AFTER, Microphone

PCM = AudioFormat()
G711 = AudioFormat("g711_ulaw", 8000)


def chunk(audio: bytes, format: AudioFormat = PCM, item: str = "item") -> AudioOutputChunk:
    return AudioOutputChunk(
        audio_data=audio, sample_rate=format.sample_rate, encoding=format.encoding, item_id=item
    )


class Listener:
    """Takes the packets of a loudspeaker, as a sender would."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float]] = []
        self.track = Loudspeaker(lambda item, ms: self.told.append((item, ms)))
        self.packets: list[Packet[Any]] = []
        self.times: list[float] = []

    async def take(self, n: int) -> None:
        for _ in range(n):
            self.packets.append(await self.track.recv())
            self.times.append(asyncio.get_running_loop().time())

    def heard(self) -> bytes:
        """What a client hears of all that was taken."""
        decoder: Any = CodecContext.create("libopus", "r")
        decoder.format, decoder.layout, decoder.sample_rate = "s16", "mono", 48_000
        frames = [frame for p in self.packets for frame in decoder.decode(Packet(bytes(p)))]
        parts = [frame.to_ndarray().reshape(-1) for frame in frames]
        return np.concatenate(parts).astype("<i2").tobytes()

    def words(self) -> str:
        return understand(self.heard(), AudioFormat(sample_rate=48_000))


async def test_a_frame_each_20_ms():
    listener = Listener()
    await listener.take(50)
    assert np.diff(listener.times) == pytest.approx(0.02)
    assert [packet.pts for packet in listener.packets] == [n * 960 for n in range(50)]
    assert {packet.time_base for packet in listener.packets} == {Fraction(1, 48_000)}
    assert listener.words() == ""


@pytest.mark.parametrize("format", [PCM, AudioFormat(sample_rate=16_000)])
async def test_it_speaks_at_the_pace_of_speech(format: AudioFormat):
    listener = Listener()
    spoken = listener.track.begin("item", "response")
    spoken.push(chunk(speak("it is on its way", format), format))
    spoken.finish()
    await listener.take(20)
    assert "it is on its way".startswith(listener.words())
    await listener.take(80)
    assert listener.words() == "it is on its way"


async def test_it_speaks_what_came_in_another_encoding():
    listener = Listener()
    audio = speak("good evening", G711)
    spoken = listener.track.begin("item", None)
    spoken.push(chunk(audio, G711))
    spoken.finish()
    assert listener.track.waiting_ms == pytest.approx(G711.duration_ms(len(audio)), abs=1)
    await listener.take(20)
    assert np.abs(np.frombuffer(listener.heard(), "<i2").astype(int)).mean() > 500


async def test_it_tells_how_far_it_has_come():
    listener = Listener()
    for item in ("one", "two"):
        listener.track.begin(item, "response").push(chunk(bytes(PCM.n_bytes(230)), item=item))
    await listener.take(40)
    assert listener.told == [
        ("one", 0),
        ("one", 100),
        ("one", 200),
        ("two", 10),
        ("two", 110),
        ("two", 210),
    ]


async def test_it_is_cut_at_once():
    listener = Listener()
    spoken = listener.track.begin("item", "response")
    spoken.push(chunk(speak("one two three four five", PCM)))
    await listener.take(40)
    listener.track.cut()
    assert listener.track.waiting_ms == 0
    await listener.take(50)
    assert listener.words() == "one two"
    spoken = listener.track.begin("next", "response")
    spoken.push(chunk(speak("gladly", PCM), item="next"))
    await listener.take(40)
    assert listener.words() == "one two gladly"


async def test_silence_costs_no_encoding():
    listener = Listener()
    listener.track.begin("item", None).push(chunk(speak("hello", PCM)))
    await listener.take(60)
    settled = {bytes(packet) for packet in listener.packets[-20:]}
    assert len(settled) == 1


async def test_an_answer_without_an_end_is_bounded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(rules, "MAX_WAITING_MS", 1000.0)
    listener = Listener()
    spoken = listener.track.begin("item", None)
    with caplog.at_level(logging.WARNING, "voxengine.gateway"):
        for _ in range(30):
            spoken.push(chunk(bytes(PCM.n_bytes(100))))
    assert listener.track.waiting_ms == 1000
    assert len(caplog.records) == 1


async def test_after_a_stall_it_goes_on_from_now():
    listener = Listener()
    await listener.take(5)
    await asyncio.sleep(0.11)
    start = len(listener.times)
    await listener.take(10)
    # It was late by five frames: they go out at once, and the pace is the old one.
    assert listener.times[-1] - listener.times[start - 1] == pytest.approx(0.2)
    await asyncio.sleep(5)
    await listener.take(3)
    assert np.diff(listener.times[-3:]) == pytest.approx(0.02)


async def test_a_track_that_has_ended():
    listener = Listener()
    listener.track.stop()
    with pytest.raises(MediaStreamError):
        await listener.track.recv()


class Session:
    """What a microphone needs of a session."""

    def __init__(self, format: AudioFormat = PCM) -> None:
        self.format = format
        self.input = self
        self.audio = b""
        self.filled = 0

    def on_audio(self, audio: bytes, *, heard: bool = True) -> None:
        self.audio += audio
        if not heard:
            self.filled += len(audio)

    @property
    def ms(self) -> float:
        return self.format.duration_ms(len(self.audio))


class Track(MediaStreamTrack):
    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.frames: asyncio.Queue[AudioFrame | None] = asyncio.Queue()
        self._samples = 0

    def put(self, audio: bytes, lost: int = 0) -> None:
        """Frames of mono audio at 48 kHz; before each second, so many samples are lost."""
        samples = np.frombuffer(audio, "<i2").repeat(2)
        for start in range(0, len(samples), 1920):
            part = samples[start : start + 1920]
            frame = AudioFrame.from_ndarray(part.reshape(1, -1), format="s16", layout="stereo")
            frame.sample_rate, frame.pts = 48_000, self._samples
            self._samples += len(part) // 2 + lost
            self.frames.put_nowait(frame)

    async def recv(self) -> AudioFrame:
        frame = await self.frames.get()
        if frame is None:
            raise MediaStreamError
        return frame


@pytest.mark.parametrize("format", [PCM, G711])
async def test_what_is_said_arrives(format: AudioFormat):
    session, track = Session(format), Track()
    microphone = Microphone(session, track)  # type: ignore[arg-type]
    track.put(speak("where is my order", AudioFormat(sample_rate=48_000)))
    await asyncio.sleep(0.01)
    microphone.close()
    assert understand(session.audio, format) == "where is my order"
    assert session.filled == 0


async def test_what_was_lost_is_silence_of_its_length():
    session, track = Session(), Track()
    microphone = Microphone(session, track)  # type: ignore[arg-type]
    track.put(bytes(1920) * 10, lost=960)
    await asyncio.sleep(0.01)
    microphone.close()
    assert session.ms == pytest.approx(10 * 20 + 9 * 20, abs=2)
    assert PCM.duration_ms(session.filled) == pytest.approx(9 * 20, abs=2)


async def test_a_track_that_stalls_is_silent_until_it_goes_on():
    session, track = Session(), Track()
    microphone = Microphone(session, track)  # type: ignore[arg-type]
    track.put(bytes(1920))
    await asyncio.sleep(STALLED_AFTER - 0.15)
    assert session.filled == 0
    await asyncio.sleep(2.0)
    filled = PCM.duration_ms(session.filled)
    # Up to now, but for the time until the next look.
    assert 2100 <= filled <= 2250
    track.put(bytes(1920))
    await asyncio.sleep(0.05)
    assert PCM.duration_ms(session.filled) == filled
    microphone.close()


async def test_before_the_first_frame_there_is_no_time():
    session, track = Session(), Track()
    microphone = Microphone(session, track)  # type: ignore[arg-type]
    await asyncio.sleep(5)
    assert session.audio == b""
    track.frames.put_nowait(None)
    await asyncio.sleep(1)
    microphone.close()
