"""Where recordings are: a folder for each day (UTC), a file for each call, or several when it was resumed."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path

from voxengine.audio import AudioFormat, WavWriter
from voxengine.audio.record import SampleWriter
from voxengine.engine import VoiceEngine
from voxengine.gateway.recording.opus import OpusWriter, has_opus
from voxengine.gateway.recording.recording import Form, Recording

__all__ = ["Recordings"]

logger = logging.getLogger("voxengine.gateway")

#: Threads that write and encode, for all calls.
THREADS = 2
#: Recordings of one call: it may be resumed so often.
MAX_PARTS = 100
#: Ids that may be part of a file's name.
_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
_SUFFIXES = {"wav": ".wav", "opus": ".ogg"}


class Recordings:
    """The recordings below a folder, which nobody but the owner of the process may read."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="voxengine-recording")
        self._going: set[Recording] = set()

    def begin(
        self, call_id: str, started_at: float, engine: VoiceEngine, *, form: Form = "wav"
    ) -> Recording:
        """Record a call that goes on from now on. `started_at`, in Unix seconds, says which day it belongs to.

        Without the codec of Opus it is written as WAV, and the log says so. What cannot be written ends the recording,
        not the call.

        Raises:
            ValueError: the id cannot be part of a file's name.
        """
        if form == "opus" and not has_opus():
            logger.warning("call %s is recorded as WAV: Opus needs voxengine[webrtc]", call_id)
            form = "wav"
        stem = self._stem(call_id, started_at)

        def make(rate: int) -> SampleWriter:
            path = _claim(stem, _SUFFIXES[form])
            if form == "opus":
                return OpusWriter(path, rate)
            return WavWriter(path, AudioFormat(sample_rate=rate, channels=2))

        recording = Recording(f"call {call_id}", engine, make, self._threads)
        self._going = {known for known in self._going if not known.ended} | {recording}
        return recording

    async def of(self, call_id: str, started_at: float) -> Sequence[Path]:
        """The files of a call, in the order in which they were made.

        Raises:
            ValueError: the id cannot be part of a file's name.
        """
        return await asyncio.to_thread(_parts, self._stem(call_id, started_at))

    async def delete(self, call_id: str, started_at: float) -> int:
        """Remove the files of a call. Returns how many there were.

        Raises:
            ValueError: the id cannot be part of a file's name.
            OSError: one cannot be removed.
        """
        return await asyncio.to_thread(_remove, self._stem(call_id, started_at))

    async def purge(self, before: float) -> int:
        """Remove the folders of days that are over by that time (Unix seconds). Returns how many there were.

        Raises:
            OSError: one cannot be removed.
        """
        return await asyncio.to_thread(_remove_days, self.folder, _day(before))

    async def close(self) -> None:
        """End those that go on, and the threads. May be called again."""
        for recording in self._going:
            await recording.end()
        self._going = set()
        self._threads.shutdown(wait=False)

    def _stem(self, call_id: str, started_at: float) -> Path:
        if not _ID.fullmatch(call_id):
            raise ValueError(f"{call_id!r} is no id of a call")
        return self.folder / _day(started_at).isoformat() / call_id


def _day(at: float) -> date:
    return datetime.fromtimestamp(at, UTC).date()


def _claim(stem: Path, suffix: str) -> Path:
    """Make the next free file of a call, readable by the owner alone."""
    folder = stem.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for part in range(1, MAX_PARTS + 1):
        path = folder / f"{stem.name}.{part}{suffix}"
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            continue
        return path
    raise OSError(errno.EEXIST, f"there are {MAX_PARTS} recordings of this call", str(stem))


def _parts(stem: Path) -> Sequence[Path]:
    # The id holds nothing that a pattern gives a meaning.
    numbered = (
        (path.name.removeprefix(stem.name + ".").split(".")[0], path)
        for path in stem.parent.glob(f"{stem.name}.*")
    )
    return [path for number, path in sorted((int(n), p) for n, p in numbered if n.isdigit())]


def _remove(stem: Path) -> int:
    paths = _parts(stem)
    for path in paths:
        path.unlink(missing_ok=True)
    return len(paths)


def _remove_days(folder: Path, before: date) -> int:
    removed = 0
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            day = date.fromisoformat(path.name)
        except ValueError:
            continue  # it is not ours
        if day < before:
            shutil.rmtree(path)
            removed += 1
    return removed
