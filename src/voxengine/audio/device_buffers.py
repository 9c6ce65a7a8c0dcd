"""What lies between the audio device's thread and the event loop: bounded, in both directions."""

from __future__ import annotations

import asyncio
import threading
from collections import deque

from voxengine.audio.formats import AudioFormat

__all__ = ["CaptureQueue", "PlayBuffer"]


class CaptureQueue:
    """Frames from the device's thread to one consumer on the loop. When full, the oldest is dropped."""

    def __init__(self, frame_bytes: int, max_frames: int) -> None:
        """`frame_bytes` is the size of the frames that come out; what goes in may be cut in any way."""
        self._loop = asyncio.get_running_loop()
        self._frame_bytes = frame_bytes
        self._partial = b""
        self._frames: deque[bytes] = deque(maxlen=max_frames)
        self._lock = threading.Lock()
        self._ready = asyncio.Event()
        #: Whether the loop has been told of frames and has not looked yet: it is told once, however
        #: busy it is.
        self._told = False
        self._closed = False
        self.dropped_frames = 0

    def put(self, audio: bytes) -> None:
        """Add audio. Called in the device's thread."""
        size = self._frame_bytes
        if self._partial:
            audio = self._partial + audio
        whole = len(audio) - len(audio) % size
        self._partial = audio[whole:]
        with self._lock:
            for i in range(0, whole, size):
                if len(self._frames) == self._frames.maxlen:
                    self.dropped_frames += 1
                self._frames.append(audio[i : i + size])
            if self._told or not whole:
                return
            self._told = True
        self._wake()

    def close(self) -> None:
        """Let the consumer end after the frames that are there. From any thread."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._ready.set)
        except RuntimeError:
            # The loop was closed while the device was still running.
            self._closed = True

    async def get(self) -> bytes | None:
        """The next frame; None when closed and empty."""
        while True:
            with self._lock:
                if self._frames:
                    return self._frames.popleft()
                self._told = False
                self._ready.clear()
            if self._closed:
                return None
            await self._ready.wait()


class PlayBuffer:
    """Audio from the event loop to the device's thread, and the truth about what of it has been played.

    Bytes are pcm16 mono at the device's rate. Times are seconds on the device's clock.
    """

    #: Blocks whose times are remembered: more than lie between the buffer and the ear of any
    #: device.
    _BLOCKS = 256

    def __init__(self, rate: int, max_ms: float) -> None:
        self._format = AudioFormat(sample_rate=rate)
        self._limit = self._format.n_bytes(max_ms)
        self._data = bytearray()
        self._lock = threading.Lock()
        #: Bytes that the device has taken.
        self._taken = 0
        #: Of each block that the device has taken: when it is heard, bytes taken before it, bytes
        #: of audio in it.
        self._blocks: deque[tuple[float, int, int]] = deque(maxlen=self._BLOCKS)
        self.dropped_bytes = 0

    def write(self, audio: bytes) -> int:
        """Add audio to be played after what is there. Returns how many bytes fitted; the others are dropped."""
        with self._lock:
            room = max(0, self._limit - len(self._data))
            room -= room % 2
            self._data += audio[:room]
            taken = min(room, len(audio))
            self.dropped_bytes += len(audio) - taken
        return taken

    def flush(self) -> float:
        """Throw away what the device has not taken yet. Returns the milliseconds that were lost."""
        with self._lock:
            lost = len(self._data)
            self._data.clear()
        return self._format.duration_ms(lost)

    def read(self, n: int, heard_at: float) -> bytes:
        """Exactly n bytes for the device, silence where there is no audio. Called in the device's thread."""
        with self._lock:
            audio = bytes(self._data[:n])
            del self._data[:n]
            if audio:
                self._blocks.append((heard_at, self._taken, len(audio)))
                self._taken += len(audio)
        return audio.ljust(n, b"\0")

    def played_ms(self, now: float) -> float:
        """Milliseconds of audio that have been heard at device time `now`."""
        with self._lock:
            for heard_at, before, size in reversed(self._blocks):
                if heard_at <= now:
                    since = min((now - heard_at) * 1000, self._format.duration_ms(size))
                    return self._format.duration_ms(before) + since
            # Nothing that is remembered has been heard: all before it has been.
            return self._format.duration_ms(self._blocks[0][1]) if self._blocks else 0.0

    @property
    def dropped_ms(self) -> float:
        """Milliseconds that did not fit."""
        return self._format.duration_ms(self.dropped_bytes)

    @property
    def buffered_ms(self) -> float:
        """Milliseconds that the device has not taken yet."""
        return self._format.duration_ms(len(self._data))

    @property
    def accepted_ms(self) -> float:
        """Position at which the next audio that is written will begin, on the scale of `played_ms`."""
        with self._lock:
            return self._format.duration_ms(self._taken + len(self._data))
