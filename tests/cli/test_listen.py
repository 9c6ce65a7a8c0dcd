"""`engine.listen()` with a stand-in for PortAudio, in real time only where a thread of the device takes part."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.audio.fake_portaudio import FakeSoundDevice, FakeStream
from voxengine import VoiceEngine
from voxengine.audio import AudioFormat
from voxengine.audio.signal import speak, understand
from voxengine.errors import AudioError, ConnectionError, MissingDependencyError, SessionClosedError
from voxengine.events import AudioDropped, EventType
from voxengine.listen import ItemPositions

RATE = AudioFormat(sample_rate=16000)
SETTINGS: dict[str, Any] = {
    "provider": "mock",
    "input_format": RATE,
    "output_format": RATE,
    "metadata": {"ms_per_word": 0, "silence_ms": 200, "chunk_ms": 20, "realtime_factor": 1000},
}


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> FakeSoundDevice:
    fake = FakeSoundDevice()
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


@pytest.fixture
async def engine() -> AsyncIterator[VoiceEngine]:
    async with VoiceEngine(**SETTINGS) as engine:
        yield engine


async def feed(stream: FakeStream, audio: bytes) -> bytes:
    """Let the device give the audio frame by frame, in time; returns what it played meanwhile."""
    size = stream.block * 2
    played = b""
    for i in range(0, len(audio), size):
        played += stream.run(audio[i : i + size])
        await asyncio.sleep(0.02)
    return played


async def test_what_is_said_into_the_microphone_is_answered_by_the_loudspeaker(
    device: FakeSoundDevice, engine: VoiceEngine
) -> None:
    async with engine.listen(echo_cancellation=False):
        (stream,) = device.streams
        played = await feed(stream, speak("hello", RATE, ms_per_word=0) + bytes(64000))
        assert stream.settings["samplerate"] == 16000
    assert [i.text for i in engine.conversation] == ["hello", "You said: hello"]
    assert understand(played, RATE) == "You said: hello"
    assert stream.state == "closed"


async def test_what_was_played_is_acknowledged(
    device: FakeSoundDevice, engine: VoiceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, float]] = []
    acknowledge = engine.acknowledge_playback

    def note(item_id: str, played_ms: float) -> None:
        told.append((item_id, played_ms))
        acknowledge(item_id, played_ms)

    monkeypatch.setattr(engine, "acknowledge_playback", note)
    async with engine.listen(echo_cancellation=False) as listening:
        (stream,) = device.streams
        await engine.send_text("hi")
        await asyncio.sleep(0.3)
        await feed(stream, bytes(stream.block * 2 * 10))
        (item_id,) = {item_id for item_id, _ in told}
        positions = [ms for _, ms in told]
        assert positions == sorted(positions)
        # Ten frames of 20 ms, of which the last 30 ms are still on their way to the ear.
        assert 140 <= positions[-1] <= 200
        assert listening.heard_ms(item_id) == pytest.approx(positions[-1], abs=21)
        assert listening.heard_ms("unknown") is None
        assert not listening.silent


async def test_an_interruption_silences_the_loudspeaker_at_once(
    device: FakeSoundDevice, engine: VoiceEngine
) -> None:
    cuts: list[Any] = []
    engine.on(EventType.CONVERSATION_INTERRUPTED, cuts.append)
    async with engine.listen(echo_cancellation=False) as listening:
        (stream,) = device.streams
        await engine.send_text("one two three four five six seven eight nine ten")
        await asyncio.sleep(0.3)
        played = await feed(stream, bytes(stream.block * 2 * 20))
        assert any(played)
        await engine.interrupt()
        assert listening.silent
        assert not any(stream.run(blocks=5))
        (cut,) = cuts
        assert cut.heard_ms == pytest.approx(400, abs=60)
        # The next answer is played as usual, and its positions are its own.
        await engine.send_text("again")
        await asyncio.sleep(0.3)
        assert any(stream.run(blocks=3))


async def test_it_ends_with_the_conversation(device: FakeSoundDevice, engine: VoiceEngine) -> None:
    async def leave() -> None:
        await asyncio.sleep(0.1)
        await engine.disconnect()

    leaving = asyncio.create_task(leave())
    await engine.listen(echo_cancellation=False)
    await leaving
    assert device.streams[0].state == "closed"


async def test_a_lost_provider_ends_it_with_an_error(device: FakeSoundDevice) -> None:
    metadata = {**SETTINGS["metadata"], "faults": "drop:after_s=0.05"}
    settings = {**SETTINGS, "metadata": metadata, "reconnect_timeout": 0}
    async with (
        VoiceEngine(**settings) as engine,
        engine.listen(echo_cancellation=False) as listening,
    ):
        await asyncio.sleep(0.1)
        device.streams[0].run(blocks=1)
        with pytest.raises(ConnectionError):
            await listening.wait()
    assert device.streams[0].state == "closed"


async def test_lost_audio_is_told(device: FakeSoundDevice, engine: VoiceEngine) -> None:
    told: list[AudioDropped] = []
    engine.on(EventType.AUDIO_DROPPED, told.append)
    async with engine.listen(echo_cancellation=False):
        (stream,) = device.streams
        stream.run(blocks=110)  # the loop does not look for 2.2 s
        await asyncio.sleep(0.05)
    (event,) = told
    assert event.direction == "input"
    assert event.audio_ms == 200


async def test_echo_cancellation_is_the_default(
    device: FakeSoundDevice, engine: VoiceEngine
) -> None:
    pytest.importorskip("pywebrtc_audio")
    async with engine.listen() as listening:
        duplex = listening._duplex
        assert duplex is not None
        assert duplex._canceller is not None


async def test_frames_can_be_recorded(device: FakeSoundDevice, engine: VoiceEngine) -> None:
    frames: list[bytes] = []
    async with engine.listen(echo_cancellation=False, frame_ms=10) as listening:
        listening.on_frame = frames.append
        await listening.start()  # again: nothing happens
        device.streams[0].run(b"\x01\x00" * 320, blocks=2)
        await asyncio.sleep(0.05)
        await listening.close()
        await listening.close()
    assert b"".join(frames) == b"\x01\x00" * 320
    assert len(device.streams) == 1


async def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, engine: VoiceEngine) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MissingDependencyError, match=r"voxengine\[devices\]"):
        await engine.listen()


async def test_without_a_device(monkeypatch: pytest.MonkeyPatch, engine: VoiceEngine) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", FakeSoundDevice(devices=[]))
    with pytest.raises(AudioError, match="no audio device"):
        async with engine.listen():
            pass


async def test_not_connected(device: FakeSoundDevice) -> None:
    with pytest.raises(SessionClosedError):
        await VoiceEngine(**SETTINGS).listen()
    assert device.streams == []


# --- positions ---


def test_positions_of_items() -> None:
    positions = ItemPositions()
    assert positions.at(0) is None
    positions.wrote("a", 0, 100)
    positions.wrote("a", 100, 200)
    positions.wrote("b", 200, 260)
    positions.wrote("a", 260, 300)
    assert positions.at(50) == ("a", 50)
    assert positions.at(230) == ("b", 30)
    assert positions.at(280) == ("a", 220)
    assert positions.at(1000) == ("a", 240)
    assert positions.heard_ms("b", 1000) == 60
    assert positions.heard_ms("b", 100) == 0
    assert positions.heard_ms("c", 100) is None


def test_positions_after_a_flush() -> None:
    positions = ItemPositions()
    positions.wrote("a", 0, 100)
    positions.wrote("b", 100, 200)
    positions.flushed(60)
    assert positions.at(500) == ("a", 60)
    assert positions.heard_ms("b", 500) is None
    positions.wrote("c", 60, 90)
    assert positions.at(70) == ("c", 10)
    assert positions.heard_ms("a", 70) == 60
