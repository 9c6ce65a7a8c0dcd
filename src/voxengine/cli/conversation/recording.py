"""The call as a stereo file: left the caller, right what the loudspeaker really played, each at its own time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from voxengine.audio.formats import AudioFormat
from voxengine.audio.record import StereoRecorder
from voxengine.events import AudioOutputChunk, AudioOutputStopped, EventType

if TYPE_CHECKING:
    from typing import Self

    from voxengine.config import VoiceEngineConfig
    from voxengine.engine import VoiceEngine

__all__ = ["CallRecording"]


class CallRecording:
    """Takes the frames of the caller and the blocks of the loudspeaker, with times of the loop's clock."""

    def __init__(self, path: Path, config: VoiceEngineConfig, *, follows: bool = False) -> None:
        """Opens the file. `follows`: the engine's side will be taken by `follow`.

        Raises:
            OSError: it cannot be written.
        """
        rate = config.output_format.sample_rate
        self._input = config.input_format
        right = config.output_format if follows else AudioFormat(sample_rate=rate)
        self._recorder = StereoRecorder(path, rate, left=self._input, right=right)
        #: The time at which the recording begins.
        self.origin = asyncio.get_running_loop().time()
        # From the loudspeaker's thread; emptied with each of the caller's frames, so it stays short.
        self._blocks: deque[tuple[bytes, float]] = deque(maxlen=10_000)

    def caller(self, frame: bytes, at: float) -> None:
        """The caller said this."""
        self._recorder.left(frame, max(0.0, self.ms(at)))
        self._take_blocks()

    def engine(self, block: bytes, at: float) -> None:
        """The loudspeaker plays this. May be called in any thread."""
        self._blocks.append((block, at))

    # -- with a sound card, which does not say what it plays

    def microphone(self, frame: bytes) -> None:
        """The microphone gave this just now."""
        now = asyncio.get_running_loop().time()
        self.caller(frame, now - self._input.duration_ms(len(frame)) / 1000)

    def follow(self, engine: VoiceEngine) -> None:
        """Take the engine's side from its events: played back to back, and cut when it is interrupted."""
        source = engine.config.output_format
        now: Callable[[], float] = asyncio.get_running_loop().time
        end = 0.0

        def chunk(event: AudioOutputChunk) -> None:
            nonlocal end
            begin = max(self.ms(now()), end)
            self._recorder.right(event.audio_data, begin)
            end = begin + source.duration_ms(len(event.audio_data))

        def stopped(event: AudioOutputStopped) -> None:
            nonlocal end
            if event.interrupted:
                end = self.ms(now())
                self._recorder.cut_right(end)

        engine.on(EventType.AUDIO_OUTPUT_CHUNK, chunk)
        engine.on(EventType.AUDIO_OUTPUT_STOPPED, stopped)

    def ms(self, at: float) -> float:
        """The place in the recording of a time."""
        return (at - self.origin) * 1000

    def _take_blocks(self) -> None:
        while self._blocks:
            block, at = self._blocks.popleft()
            self._recorder.right(block, max(0.0, self.ms(at)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._take_blocks()
        self._recorder.close()
