"""What the client hears: a track that speaks in real time, as Opus, and knows how far it has come."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, CodecContext, Packet
from av.audio.codeccontext import AudioCodecContext

from voxengine.audio.formats import AudioFormat
from voxengine.audio.resample import Converter
from voxengine.events import AudioOutputChunk

__all__ = ["Loudspeaker"]

logger = logging.getLogger("voxengine.gateway")

#: What is queued and encoded. Opus takes this rate as it is; its timestamps count at 48 kHz (RFC 7587, 4.1).
FORMAT = AudioFormat(sample_rate=24_000)
FRAME_MS = 20
FRAME_SAMPLES = FORMAT.sample_rate * FRAME_MS // 1000
FRAME_BYTES = FORMAT.n_bytes(FRAME_MS)
#: Of one frame, in timestamps.
TICKS = 48 * FRAME_MS
_TIME_BASE, _SAMPLE_TIME = Fraction(1, 48_000), Fraction(1, FORMAT.sample_rate)
BIT_RATE = 40_000
#: Of 0 to 10: half the work of the best, for a difference that nobody hears in speech.
COMPLEXITY = 5
#: Seconds that the track may be late and still catch up. Beyond that it goes on from now.
MAX_LATE = 0.2
#: Milliseconds of an answer that may wait: providers speak faster than real time.
MAX_WAITING_MS = 600_000.0
#: Milliseconds of an item after which its position is told again.
TOLD_EACH_MS = 100.0
#: Frames of silence after which it is the same packet each time: the encoder has nothing left of what was before.
SETTLED = 10


class _Spoken:
    """The audio of one item, on its way into the queue."""

    def __init__(self, speaker: Loudspeaker, item_id: str, response_id: str | None) -> None:
        self.item_id: str | None = item_id
        self.response_id = response_id
        self._speaker = speaker
        self._id = item_id
        self._converter: Converter | None = None

    def push(self, event: AudioOutputChunk) -> None:
        source = AudioFormat(event.encoding, event.sample_rate)
        if self._converter is None or self._converter.source != source:
            self.finish()
            self._converter = Converter(source, FORMAT)
        self._speaker.put(self._id, self._converter.process(event.audio_data))

    def finish(self) -> None:
        if self._converter is not None:
            self._speaker.put(self._id, self._converter.flush())


class Loudspeaker(MediaStreamTrack):
    """A track of the assistant's voice, and of silence where it has nothing to say.

    Args:
        acknowledge: is told how many milliseconds of an item have gone out, while it is spoken.
    """

    kind = "audio"

    def __init__(self, acknowledge: Callable[[str, float], None]) -> None:
        super().__init__()
        self._acknowledge = acknowledge
        #: Audio that waits, with the item that it is of, and how many bytes of the first piece are gone.
        self._pieces: deque[tuple[str, bytes]] = deque()
        self._gone = 0
        self._bytes = 0
        self._full = False
        #: The item that is spoken, milliseconds of it that have gone out, and those of the last time that it was told.
        self._item: str | None = None
        self._played_ms = 0.0
        self._told_ms = 0.0
        self._due: float | None = None
        self._ticks = 0
        self._encoder = _encoder()
        self._silent_frames = 0
        self._silence = b""

    # -- a Speaker

    def begin(self, item_id: str, response_id: str | None) -> _Spoken:
        """An item begins to be spoken, after all that was given before."""
        return _Spoken(self, item_id, response_id)

    def put(self, item_id: str, audio: bytes) -> None:
        """Speak this after all that waits. What is more than can wait is left out."""
        if not audio:
            return
        if FORMAT.duration_ms(self._bytes + len(audio)) > MAX_WAITING_MS:
            if not self._full:
                logger.warning("an answer is longer than can wait to be spoken; its end is lost")
            self._full = True
            return
        self._full = False
        self._pieces.append((item_id, audio))
        self._bytes += len(audio)

    def cut(self) -> None:
        """Be silent from the next frame on."""
        self._pieces.clear()
        self._gone = self._bytes = 0

    @property
    def waiting_ms(self) -> float:
        """Milliseconds of what waits to be spoken."""
        return FORMAT.duration_ms(self._bytes)

    # -- a track

    async def recv(self) -> Packet[Any]:
        """The next 20 ms, when they are due."""
        if self.readyState != "live":
            raise MediaStreamError
        now = asyncio.get_running_loop().time()
        due = now if self._due is None else self._due + FRAME_MS / 1000
        if now - due > MAX_LATE:
            due = now
        self._due = due
        if due > now:
            await asyncio.sleep(due - now)
        packet = Packet(self._encoded(self._next_frame()))
        packet.pts, packet.time_base = self._ticks, _TIME_BASE
        self._ticks += TICKS
        return packet

    def _next_frame(self) -> bytes | None:
        """What is spoken next; None is silence."""
        if not self._pieces:
            return None
        parts: list[bytes] = []
        wanted = FRAME_BYTES
        while wanted and self._pieces:
            item_id, audio = self._pieces[0]
            if item_id != self._item:
                self._item, self._played_ms, self._told_ms = item_id, 0.0, -TOLD_EACH_MS
            if not parts:
                self._tell(item_id)
            part = audio[self._gone : self._gone + wanted]
            parts.append(part)
            wanted -= len(part)
            self._gone += len(part)
            self._played_ms += FORMAT.duration_ms(len(part))
            if self._gone >= len(audio):
                self._pieces.popleft()
                self._gone = 0
        self._bytes -= FRAME_BYTES - wanted
        return b"".join(parts) + bytes(wanted)

    def _tell(self, item_id: str) -> None:
        if self._played_ms - self._told_ms >= TOLD_EACH_MS:
            self._told_ms = self._played_ms
            self._acknowledge(item_id, self._played_ms)

    # -- the codec

    def _encoded(self, audio: bytes | None) -> bytes:
        if audio is not None:
            self._silent_frames = 0
            return self._encode(audio)
        if self._silent_frames < SETTLED:
            self._silent_frames += 1
            self._silence = self._encode(bytes(FRAME_BYTES))
        return self._silence

    def _encode(self, audio: bytes) -> bytes:
        frame = AudioFrame(format="s16", layout="mono", samples=FRAME_SAMPLES)
        frame.planes[0].update(audio)
        frame.sample_rate, frame.time_base = FORMAT.sample_rate, _SAMPLE_TIME
        # The packet gets a timestamp of its own: this one need only grow.
        frame.pts = self._ticks * FRAME_SAMPLES // TICKS
        return b"".join(bytes(packet) for packet in self._encoder.encode(frame))


def _encoder() -> AudioCodecContext:
    encoder = CodecContext.create("libopus", "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.sample_rate, encoder.time_base = FORMAT.sample_rate, _SAMPLE_TIME
    encoder.layout, encoder.format = "mono", "s16"
    encoder.bit_rate = BIT_RATE
    encoder.options = {
        "application": "voip",
        "compression_level": str(COMPLEXITY),
        "frame_duration": str(FRAME_MS),
        "fec": "1",
        "packet_loss": "5",
    }
    return encoder
