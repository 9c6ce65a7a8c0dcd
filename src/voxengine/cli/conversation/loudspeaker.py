"""A loudspeaker without a sound card: plays in real time what a sound card would play, and notes when.

It runs in a thread of its own, as a sound card does, so that what it measures includes whatever the event loop was busy
with. Every 10 ms it takes a block; what it has taken can no longer be stopped.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from voxengine.audio.device_buffers import PlayBuffer
from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import first_audible_ms
from voxengine.audio.resample import Converter
from voxengine.events import AudioOutputChunk, AudioOutputStopped, EventType
from voxengine.listen import ItemPositions

if TYPE_CHECKING:
    from typing import Self

    from voxengine.engine import VoiceEngine

__all__ = ["Loudspeaker", "Played"]

BLOCK_MS = 10
#: What may wait to be played: more than any answer that is made ahead.
BUFFER_MS = 600_000.0


@dataclass
class Played:
    """What was played of one item, in seconds of the loop's clock and milliseconds of its audio."""

    began_at: float
    ended_at: float
    ms: float = 0.0
    #: When its first sample that can be heard was played.
    audible_at: float | None = None
    #: When it was flushed, if it was.
    cut_at: float | None = None


class Loudspeaker:
    """Plays AUDIO_OUTPUT_CHUNK and stops on AUDIO_OUTPUT_STOPPED(interrupted).

    `on_block(audio, at)` gets each block that holds sound, as pcm16, with the time at which its first sample is heard;
    it is called in the loudspeaker's thread.
    """

    def __init__(
        self, engine: VoiceEngine, on_block: Callable[[bytes, float], None] | None = None
    ) -> None:
        source = engine.config.output_format
        #: The format that is played.
        self.format = AudioFormat(sample_rate=source.sample_rate)
        self._converter = Converter(source, self.format) if source != self.format else None
        self._buffer = PlayBuffer(self.format.sample_rate, BUFFER_MS)
        self._positions = ItemPositions()
        self._lock = threading.Lock()
        self._played: dict[str, Played] = {}
        self._on_block = on_block
        # The loop's clock, which may be read in any thread.
        self._now = asyncio.get_running_loop().time
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._play, name="loudspeaker", daemon=True)
        self._subscriptions = [
            engine.on(EventType.AUDIO_OUTPUT_CHUNK, self._write),
            engine.on(EventType.AUDIO_OUTPUT_STOPPED, self._stopped),
        ]

    # -- what it is asked

    @property
    def silent(self) -> bool:
        """Whether nothing waits to be played."""
        return self._buffer.buffered_ms <= 0

    def played(self, item_id: str | None) -> Played | None:
        """What was played of an item; None if nothing was."""
        with self._lock:
            return self._played.get(item_id or "")

    def heard_ms(self, item_id: str) -> float | None:
        """Milliseconds of an item that were played; None for one that never came."""
        with self._lock:
            played = self._played.get(item_id)
            if played is not None:
                return played.ms
        return self._positions.heard_ms(item_id, 0.0)

    # -- on the event loop

    def _write(self, event: AudioOutputChunk) -> None:
        audio = event.audio_data
        if self._converter is not None:
            audio = self._converter.process(audio)
        with self._lock:
            begin = self._buffer.accepted_ms
            self._buffer.write(audio)
            self._positions.wrote(event.item_id or "", begin, self._buffer.accepted_ms)

    def _stopped(self, event: AudioOutputStopped) -> None:
        if not event.interrupted:
            return
        with self._lock:
            self._buffer.flush()
            if self._converter is not None:
                self._converter.reset()
            self._positions.flushed(self._buffer.accepted_ms)
            played = self._played.get(event.item_id or "")
            if played is not None:
                played.cut_at = self._now()

    # -- in the thread

    def _play(self) -> None:
        block_s = BLOCK_MS / 1000
        size = self.format.n_bytes(BLOCK_MS)
        due = self._now()
        while not self._stop.is_set():
            due += block_s
            wait = due - self._now()
            if wait > 0:
                time.sleep(wait)
            elif wait < -0.5:
                due = self._now()  # the machine slept; a sound card would have gone on without us
            with self._lock:
                position = self._buffer.accepted_ms - self._buffer.buffered_ms
                audio = self._buffer.read(size, due)
                taken = self._buffer.accepted_ms - self._buffer.buffered_ms - position
                if taken:
                    self._note(audio, position, taken, due)
            if taken and self._on_block is not None:
                self._on_block(audio, due)

    def _note(self, audio: bytes, position: float, taken: float, due: float) -> None:
        found = self._positions.at(position + 0.001)
        item_id = found[0] if found is not None else ""
        begun_at = max(due, self._now())
        played = self._played.setdefault(item_id, Played(begun_at, begun_at))
        played.ms += taken
        # In full: a block that is played cannot be cut short.
        played.ended_at = begun_at + taken / 1000
        if played.audible_at is None:
            offset = first_audible_ms(audio, self.format)
            if offset is not None:
                played.audible_at = begun_at + offset / 1000

    # -- life

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for subscription in self._subscriptions:
            subscription.cancel()
        self._stop.set()
        self._thread.join()
