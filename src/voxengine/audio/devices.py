"""Microphone and loudspeaker, each on its own. For both with echo cancellation, see `Duplex`.

They need the `devices` extra. Audio is exchanged with the device in the device's own thread;
nothing waits there.
"""

from __future__ import annotations

from typing import Any

from voxengine.audio.device_sides import CaptureSide, PlaybackSide
from voxengine.audio.formats import AudioFormat
from voxengine.audio.portaudio import Device, Stream, open_stream

__all__ = ["Microphone", "Speaker"]


class Microphone(CaptureSide):
    """An async iterator of frames from the microphone.

        async with Microphone(AudioFormat(sample_rate=16000)) as microphone:
            async for frame in microphone:
                await engine.send_audio(frame)

    When frames are not taken for `max_ms`, the oldest are dropped and counted in `dropped_frames`.
    """

    def __init__(
        self,
        format: AudioFormat | None = None,
        frame_ms: int = 20,
        *,
        device: Device = None,
        max_ms: float = 2000.0,
    ) -> None:
        #: The format of the frames.
        self.format = format or AudioFormat(sample_rate=16000)
        super().__init__(self.format, frame_ms, max_ms)
        self._device = device

    def _open(self) -> Stream:
        stream, rate = open_stream(
            "RawInputStream",
            self.format.sample_rate,
            self._frame_ms,
            self._device,
            self._callback,
        )
        self._open_capture(rate)
        return stream

    def _callback(self, indata: Any, frames: int, time: Any, status: Any) -> None:
        self._captured(bytes(indata))


class Speaker(PlaybackSide):
    """The loudspeaker.

    async with Speaker(AudioFormat(sample_rate=24000)) as speaker:
        engine.on("audio_chunk", lambda event: speaker.write(event.audio_data))
        engine.on("conversation_interrupted", lambda event: speaker.flush())
    """

    def __init__(
        self,
        format: AudioFormat | None = None,
        buffer_ms: float = 120_000.0,
        *,
        device: Device = None,
        frame_ms: int = 10,
    ) -> None:
        #: The format of what is written.
        self.format = format or AudioFormat()
        super().__init__(self.format, buffer_ms)
        self._device = device
        self._block_ms = frame_ms

    def _open(self) -> Stream:
        stream, rate = open_stream(
            "RawOutputStream",
            self.format.sample_rate,
            self._block_ms,
            self._device,
            self._callback,
        )
        self._open_playback(rate)
        return stream

    def _callback(self, outdata: Any, frames: int, time: Any, status: Any) -> None:
        outdata[:] = self._playing.read(frames * 2, time.outputBufferDacTime)
