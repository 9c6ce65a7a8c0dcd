"""The two sides of an audio device, as an application sees them: frames that come, audio that goes.

`Microphone` is the one, `Speaker` the other, `Duplex` both; these bases hold what they share.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TYPE_CHECKING

from voxengine.audio.device_buffers import CaptureQueue, PlayBuffer
from voxengine.audio.formats import AudioFormat, check_audio
from voxengine.audio.portaudio import Stream, reason
from voxengine.audio.resample import Converter

if TYPE_CHECKING:
    from typing import Self

__all__ = ["CaptureSide", "OpenDevice", "PlaybackSide"]

_NOT_OPEN = "the audio device is not open; use it in 'async with', or call start() first"


class OpenDevice(ABC):
    """A stream that is opened, started, and closed once. A closed device can be started again."""

    def __init__(self) -> None:
        self._stream: Stream | None = None

    @abstractmethod
    def _open(self) -> Stream:
        """Open the stream and make all that its callback needs."""

    async def start(self) -> None:
        """Open the device. A second call does nothing.

        Raises:
            MissingDependencyError: the `devices` extra is not installed.
            AudioError: PortAudio or the device is missing, or cannot be opened.
            ConfigurationError: frames are not of 10, 20, 30, ... ms, or a format is not mono.
        """
        if self._stream is None:
            self._stream = self._open()
            self._stream.start()

    async def close(self) -> None:
        """Close the device at once. A second call does nothing."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.abort()
            stream.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


class CaptureSide(OpenDevice):
    """An async iterator of frames of the microphone. It ends when the device is closed."""

    def __init__(self, format: AudioFormat, frame_ms: int, max_ms: float) -> None:
        OpenDevice.__init__(self)
        self._capture_format = format
        self._frame_ms = frame_ms
        self._max_frames = max(1, round(max_ms / max(1, frame_ms)))
        self._queue: CaptureQueue | None = None

    def _open_capture(self, rate: int) -> None:
        format = self._capture_format
        self._up = Converter(AudioFormat(sample_rate=rate), format)
        self._queue = CaptureQueue(format.n_bytes(self._frame_ms), self._max_frames)

    def _captured(self, audio: bytes) -> None:
        """The device gave this. Called in its thread."""
        if self._queue is not None:
            self._queue.put(self._up.process(audio))

    @property
    def dropped_frames(self) -> int:
        """Frames of the microphone that were lost because they were not taken in time."""
        return self._queue.dropped_frames if self._queue else 0

    async def close(self) -> None:
        """Close the device; the iteration ends after the frames that are there."""
        await super().close()
        if self._queue is not None:
            self._queue.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._queue is None:
            raise reason(_NOT_OPEN)
        frame = await self._queue.get()
        if frame is None:
            raise StopAsyncIteration
        return frame


class PlaybackSide(OpenDevice):
    """Plays what is written, back to back, and knows what of it was heard.

    It takes audio faster than it plays it, up to `buffer_ms`; what does not fit is dropped, and counted.
    """

    def __init__(self, format: AudioFormat, buffer_ms: float) -> None:
        OpenDevice.__init__(self)
        self._playback_format = format
        self._buffer_ms = buffer_ms
        self._buffer: PlayBuffer | None = None

    def _open_playback(self, rate: int) -> None:
        self._down = Converter(self._playback_format, AudioFormat(sample_rate=rate))
        self._buffer = PlayBuffer(rate, self._buffer_ms)

    @property
    def _playing(self) -> PlayBuffer:
        if self._buffer is None:
            raise reason(_NOT_OPEN)
        return self._buffer

    def write(self, audio: bytes) -> None:
        """Play this after what was written before.

        Raises:
            AudioError: `audio` is not audio of the format, or the device is not open.
        """
        check_audio(audio, self._playback_format)
        self._playing.write(self._down.process(audio))

    def flush(self) -> float:
        """Be silent now: throw away what is not played yet. Returns how many milliseconds that was.

        What the device itself has already taken is still heard: `latency_ms` at most.

        Raises:
            AudioError: the device is not open.
        """
        lost = self._playing.flush()
        self._down.reset()
        return lost

    @property
    def played_ms(self) -> float:
        """Milliseconds of all audio written (and not flushed) that were heard, by the device's clock."""
        buffer = self._buffer
        if buffer is None:
            return 0.0
        return buffer.played_ms(self._stream.time if self._stream is not None else float("inf"))

    @property
    def accepted_ms(self) -> float:
        """Position at which the next audio that is written will begin, on the scale of `played_ms`."""
        return self._buffer.accepted_ms if self._buffer else 0.0

    @property
    def buffered_ms(self) -> float:
        """Milliseconds that wait to be taken by the device."""
        return self._buffer.buffered_ms if self._buffer else 0.0

    @property
    def dropped_ms(self) -> float:
        """Milliseconds for the loudspeaker that were lost because the buffer was full."""
        return self._buffer.dropped_ms if self._buffer else 0.0

    @property
    def latency_ms(self) -> float:
        """Milliseconds from the device taking audio to its being heard, as the device says."""
        if self._stream is None:
            return 0.0
        latency = self._stream.latency
        return float(latency[1] if isinstance(latency, tuple) else latency) * 1000
