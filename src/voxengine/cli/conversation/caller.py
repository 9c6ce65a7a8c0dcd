"""The caller: audio at the pace of time, silence in between, as a microphone would give it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.errors import VoiceEngineError

if TYPE_CHECKING:
    from typing import Self

    from voxengine.engine import VoiceEngine

__all__ = ["Caller", "Spoken", "speech_ends_ms"]

FRAME_MS = 20


@dataclass(frozen=True)
class Spoken:
    """Something that the caller has said, in seconds of the loop's clock."""

    began_at: float
    #: When the last sample that can be heard was spoken.
    speech_ended_at: float


def speech_ends_ms(audio: bytes, format: AudioFormat) -> float:
    """Milliseconds of a recording up to the last sample that can be heard."""
    from voxengine.audio.level import first_audible_ms
    from voxengine.audio.resample import Converter

    if format.encoding != "pcm16":
        linear = AudioFormat(sample_rate=format.sample_rate)
        converter = Converter(format, linear)
        audio, format = converter.process(audio) + converter.flush(), linear
    backwards = memoryview(audio).cast("h")[::-1].tobytes()
    tail = first_audible_ms(backwards, format)
    return format.duration_ms(len(audio)) - (tail or 0.0)


@dataclass
class _Recording:
    frames: deque[bytes]
    fast: bool
    done: asyncio.Future[float]
    began_at: float | None = None


class Caller:
    """A line that is always open. `speak` says something on it; otherwise it is silent.

    `on_frame(audio, at)` gets each frame with the time at which its first sample was spoken.
    """

    def __init__(
        self, engine: VoiceEngine, on_frame: Callable[[bytes, float], None] | None = None
    ) -> None:
        self._engine = engine
        self._format = engine.config.input_format
        self._on_frame = on_frame
        self._silence = silence(FRAME_MS, self._format)
        self._now = asyncio.get_running_loop().time
        self._recording: _Recording | None = None
        self._task: asyncio.Task[None] | None = None
        #: What ended the line, if the engine would not take its audio.
        self.failure: VoiceEngineError | None = None

    async def speak(self, audio: bytes, *, fast: bool = False) -> Spoken:
        """Say this, and return when its last sample was spoken. `fast`: as fast as it is taken.

        Raises:
            VoiceEngineError: the engine does not take it.
        """
        if self.failure is not None:
            raise self.failure
        size = self._format.n_bytes(FRAME_MS)
        rest = -len(audio) % size
        audio += silence(FRAME_MS, self._format)[:rest]
        frames = deque(audio[i : i + size] for i in range(0, len(audio), size))
        done: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._recording = recording = _Recording(frames, fast, done)
        ended_at = await done
        if fast:
            return Spoken(recording.began_at or ended_at, ended_at)
        began_at = ended_at - self._format.duration_ms(len(audio)) / 1000
        return Spoken(began_at, began_at + speech_ends_ms(audio, self._format) / 1000)

    async def _run(self) -> None:
        frame_s = FRAME_MS / 1000
        due = self._now()
        try:
            while True:
                frame, fast = self._next()
                # A microphone gives a frame when its last sample was spoken.
                due = self._now() if fast else due + frame_s
                await asyncio.sleep(0 if fast else max(0.0, due - self._now()))
                if self._on_frame is not None:
                    self._on_frame(frame, due - frame_s)
                await self._engine.send_audio(frame)
                self._sent(due)
        except VoiceEngineError as failure:
            self.failure = failure
            if self._recording is not None and not self._recording.done.done():
                self._recording.done.set_exception(failure)

    def _next(self) -> tuple[bytes, bool]:
        recording = self._recording
        if recording is None or not recording.frames:
            return self._silence, False
        return recording.frames.popleft(), recording.fast

    def _sent(self, at: float) -> None:
        recording = self._recording
        if recording is None:
            return
        if recording.began_at is None:
            recording.began_at = at
        if not recording.frames:
            self._recording = None
            if not recording.done.done():
                recording.done.set_result(at)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="voxengine-caller")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
