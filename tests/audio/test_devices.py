from __future__ import annotations

import asyncio
import struct
import sys
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest

from tests.audio.fake_portaudio import FakeSoundDevice
from voxengine.audio import AudioFormat, Duplex, Microphone, Speaker
from voxengine.audio.signal import speak, understand
from voxengine.errors import AudioError, ConfigurationError, MissingDependencyError

MONO = AudioFormat("pcm16", 16000)
FRAME = 640


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> FakeSoundDevice:
    fake = FakeSoundDevice()
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 10))


def numbered(n: int, frame: int = FRAME) -> bytes:
    """n frames, each of which holds its number."""
    return b"".join(struct.pack("<h", i) * (frame // 2) for i in range(n))


# --- microphone ---


def test_frames_of_the_microphone_arrive_in_order(device: FakeSoundDevice) -> None:
    async def test() -> None:
        async with Microphone(MONO) as microphone:
            (stream,) = device.streams
            assert stream.settings["samplerate"] == 16000
            assert stream.settings["blocksize"] == 320
            stream.run(numbered(3), 3)
            frames = [await anext(microphone) for _ in range(3)]
            assert b"".join(frames) == numbered(3)
            waiting = asyncio.ensure_future(anext(microphone))
            await asyncio.sleep(0)
            stream.run(numbered(1))
            assert await waiting == bytes(FRAME)
        assert stream.state == "closed"

    run(test())


def test_the_iteration_ends_with_the_microphone(device: FakeSoundDevice) -> None:
    async def test() -> None:
        microphone = Microphone(MONO)
        await microphone.start()
        await microphone.start()
        (stream,) = device.streams
        stream.run(numbered(2), 2)
        await microphone.close()
        await microphone.close()
        assert [frame async for frame in microphone] == [bytes(FRAME), numbered(2)[FRAME:]]

        waits = Microphone(MONO)
        await waits.start()
        waiting = asyncio.ensure_future(anext(waits, None))
        await asyncio.sleep(0)
        await waits.close()
        assert await waiting is None

    run(test())


def test_frames_that_nobody_takes_are_dropped_oldest_first(device: FakeSoundDevice) -> None:
    async def test() -> None:
        async with Microphone(MONO, max_ms=100) as microphone:
            device.streams[0].run(numbered(8), 8)
            assert microphone.dropped_frames == 3
            assert (await anext(microphone))[:2] == struct.pack("<h", 3)

    run(test())


def test_a_busy_loop_is_told_only_once(device: FakeSoundDevice) -> None:
    async def test() -> None:
        async with Microphone(MONO) as microphone:
            loop = asyncio.get_running_loop()
            told = 0
            original = loop.call_soon_threadsafe

            def count(*arguments: Any, **more: Any) -> Any:
                nonlocal told
                told += 1
                return original(*arguments, **more)

            loop.call_soon_threadsafe = count  # type: ignore[method-assign, assignment]
            device.streams[0].run(numbered(50), 50)
            assert told == 1
            assert await anext(microphone) == bytes(FRAME)

    run(test())


def test_a_device_of_another_rate_is_converted(device: FakeSoundDevice) -> None:
    device.rates = {48000}

    async def test() -> None:
        wide = AudioFormat("pcm16", 48000)
        async with Microphone(AudioFormat("g711_ulaw", 8000)) as microphone:
            (stream,) = device.streams
            assert stream.settings["samplerate"] == 48000
            text = "heard at another rate"
            audio = speak(text, wide)
            blocks = len(audio) // 1920
            stream.run(audio, blocks)
            await microphone.close()
            frames = [frame async for frame in microphone]
            assert {len(frame) for frame in frames} == {160}
            assert understand(b"".join(frames), microphone.format) == text

    run(test())


# --- loudspeaker ---


def test_the_loudspeaker_plays_back_to_back(device: FakeSoundDevice) -> None:
    async def test() -> None:
        async with Speaker(MONO) as speaker:
            (stream,) = device.streams
            assert stream.settings["blocksize"] == 160
            speaker.write(b"\1\1" * 100)
            speaker.write(b"\2\2" * 100)
            assert speaker.buffered_ms == 12.5
            assert stream.run(blocks=2) == b"\1\1" * 100 + b"\2\2" * 100 + bytes(240)
            assert speaker.latency_ms == 30

    run(test())


def test_what_was_played_goes_by_the_devices_clock(device: FakeSoundDevice) -> None:
    async def test() -> None:
        async with Speaker(MONO) as speaker:
            (stream,) = device.streams
            speaker.write(bytes(32 * 100))
            assert speaker.accepted_ms == 100
            assert speaker.played_ms == 0
            # The device has taken 50 ms; its first sample is heard after 30.
            stream.run(blocks=5)
            assert speaker.played_ms == pytest.approx(20)
            assert speaker.buffered_ms == 50
            stream.run(blocks=20)
            assert speaker.played_ms == 100
            assert speaker.accepted_ms == 100
            # A pause does not count.
            speaker.write(bytes(32 * 20))
            assert speaker.played_ms == 100
            stream.run(blocks=4)
            assert speaker.played_ms == pytest.approx(110)

    run(test())


def test_flush_is_silent_at_once(device: FakeSoundDevice) -> None:
    async def test() -> None:
        async with Speaker(MONO) as speaker:
            (stream,) = device.streams
            speaker.write(b"\1\1" * 1600)
            stream.run(blocks=3)
            assert speaker.flush() == 70
            assert not any(stream.run(blocks=2))
            # The 30 ms that the device had taken are heard, the others never.
            stream.run(blocks=10)
            assert speaker.played_ms == 30
            assert speaker.accepted_ms == 30
            speaker.write(b"\3\3" * 160)
            assert stream.run() == b"\3\3" * 160

    run(test())


def test_what_the_buffer_cannot_hold_is_dropped_and_counted(device: FakeSoundDevice) -> None:
    async def test() -> None:
        async with Speaker(MONO, buffer_ms=50) as speaker:
            speaker.write(b"\1\1" * 1600)
            assert speaker.dropped_ms == 50
            assert speaker.buffered_ms == 50
            assert device.streams[0].run(blocks=6) == b"\1\1" * 800 + bytes(320)
            with pytest.raises(AudioError, match="whole number"):
                speaker.write(b"\1")

    run(test())


def test_the_loudspeaker_converts(device: FakeSoundDevice) -> None:
    device.rates = {44100}

    async def test() -> None:
        async with Speaker(AudioFormat()) as speaker:
            (stream,) = device.streams
            speaker.write(speak("played at another rate", AudioFormat()))
            # What is still inside the filter comes with the next words.
            speaker.write(bytes(480))
            out = stream.run(blocks=200)
            assert understand(out, AudioFormat("pcm16", 44100)) == "played at another rate"

    run(test())


# --- both, without the echo ---


def test_duplex_takes_its_own_voice_out(device: FakeSoundDevice, recording: Any) -> None:
    from voxengine.audio import load_speech

    pytest.importorskip("pywebrtc_audio")
    far = load_speech(recording("jfk"), MONO)
    gain, late = 0.5, 800

    async def echo_left(cancel: bool) -> float:
        """Power of what is captured after three seconds, when the room is only echo."""
        async with Duplex(MONO, MONO, echo_cancellation=cancel, max_ms=30_000) as duplex:
            stream = device.streams[-1]
            assert stream.settings["samplerate"] == 16000
            duplex.write(far)
            frames = []
            for i in range(500):
                past = np.frombuffer(stream.played, "<i2").astype(float)
                end = i * 320 + 320 - late
                heard = past[max(0, end - 320) : max(0, end)] * gain
                heard = np.concatenate((np.zeros(320 - len(heard)), heard))
                stream.run(heard.astype("<i2").tobytes())
                frames.append(await anext(duplex))
            assert duplex.latency_ms == 30
            captured = np.frombuffer(b"".join(frames[150:]), "<i2").astype(float)
            return float((captured**2).mean())

    async def test() -> None:
        without, with_it = await echo_left(False), await echo_left(True)
        assert without > 1e4
        assert 10 * np.log10(without / with_it) > 20

    run(test())


def test_duplex_is_a_microphone_and_a_loudspeaker(device: FakeSoundDevice) -> None:
    async def test() -> None:
        async with Duplex(MONO, echo_cancellation=False) as duplex:
            (stream,) = device.streams
            duplex.write(speak("from the engine", duplex.playback))
            duplex.write(bytes(960))
            near = speak("from the caller", MONO)
            out = stream.run(near, blocks=60)
            assert understand(out, MONO) == "from the engine"
            assert duplex.played_ms > 1000
            duplex.flush()
            assert not any(stream.run())
            await duplex.close()
            frames = [frame async for frame in duplex]
            assert understand(b"".join(frames), MONO) == "from the caller"

    run(test())


# --- what can be missing ---


def test_without_the_extra_its_name_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MissingDependencyError, match=r"voxengine\[devices\]"):
        run(Microphone(MONO).start())


def test_without_portaudio_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def find_spec(self, name: str, *_: Any) -> None:
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(AudioError, match="apt install libportaudio2") as caught:
        run(Speaker(MONO).start())
    assert caught.value.code == "audio_device"


def test_without_the_canceller_its_extra_is_named_and_nothing_stays_open(
    device: FakeSoundDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    with pytest.raises(MissingDependencyError, match="echo cancellation"):
        run(Duplex(MONO).start())
    assert device.streams[0].state == "closed"


@pytest.mark.parametrize("make", [Microphone, Speaker, Duplex])
def test_without_a_device_that_is_said(device: FakeSoundDevice, make: Any) -> None:
    device.names = []
    with pytest.raises(AudioError, match=r"no audio device.*WAV file") as caught:
        run(make().start())
    assert caught.value.code == "audio_device"


def test_a_device_that_does_not_open_is_told_with_those_there_are(device: FakeSoundDevice) -> None:
    device.rates = set()
    with pytest.raises(AudioError, match=r"Invalid sample rate.*Devices: 0: built-in"):
        run(Microphone(MONO, device="USB").start())


@pytest.mark.parametrize("frame_ms", [0, -20, 15])
def test_impossible_frames_are_refused(device: FakeSoundDevice, frame_ms: int) -> None:
    with pytest.raises(ConfigurationError, match="10, 20, 30"):
        run(Microphone(MONO, frame_ms).start())


def test_before_start_there_is_no_device() -> None:
    async def test() -> None:
        with pytest.raises(AudioError, match="not open"):
            await anext(Microphone(MONO))
        with pytest.raises(AudioError, match="not open"):
            Speaker(MONO).write(b"\0\0")
        with pytest.raises(AudioError, match="not open"):
            Speaker(MONO).flush()
        speaker = Speaker(MONO)
        assert (speaker.played_ms, speaker.buffered_ms, speaker.latency_ms) == (0, 0, 0)

    run(test())
