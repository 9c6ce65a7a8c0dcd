"""The one worker of a process for all model work, shared fairly by its calls.

Two cores serve every call, so work is queued here and never started by a session on a thread of its own. A *lane* is
a queue with its own few threads: `stt` (one thread a core; each decode runs single-threaded, which measured faster in
total than one decode on all cores), `tts` (its own thread, so that a sentence of 20 ms does not stand behind a decode
of 200 ms), and `load` (so that loading a model stops nobody). Inside a lane the order is: priority first, then the
sessions in turn, then first come first served. Partial transcripts never take a lane's last free thread, so a final
one does not wait behind them; and a session has at most one partial waiting, the newest.

A job is a plain function. It runs on a worker thread; its result is delivered on the event loop that submitted it.
Nothing can stop a running thread in Python: a job that overstays its budget is reported to its caller as `timeout`, its
thread is written off and replaced. After `MAX_LOST` of them the lane refuses work instead of eating threads.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from voxengine.providers.cascade.local.lanes import (
    MAX_LOST,
    MAX_QUEUED,
    Job,
    Lane,
    Priority,
    WorkSuperseded,
)

__all__ = [
    "MAX_LOST",
    "MAX_QUEUED",
    "ModelWorker",
    "Priority",
    "WorkSuperseded",
    "default_lanes",
    "shared_worker",
]

T = TypeVar("T")


def default_lanes() -> dict[str, int]:
    """Threads of each lane on this machine: decodes one a core (at most 8), speech one, loading one."""
    try:
        cores = len(os.sched_getaffinity(0))  # what a container may use, where the system tells
    except AttributeError:
        cores = os.cpu_count() or 1
    return {"stt": max(1, min(cores, 8)), "tts": 1, "load": 1}


class ModelWorker:
    """Runs model work of many sessions on a few threads. Make one with `shared_worker`, except in tests."""

    def __init__(
        self, lanes: Mapping[str, int] | None = None, *, max_queued: int = MAX_QUEUED
    ) -> None:
        """`lanes` is the number of threads by name of the lane; threads start with the first job."""
        self._wake = threading.Event()
        self._lanes = {
            name: Lane(name, threads, max_queued, self._wake.set)
            for name, threads in (lanes or default_lanes()).items()
        }
        self._watchdog: threading.Thread | None = None
        self._watchdog_lock = threading.Lock()
        self._closed = False

    def submit(
        self,
        session: str,
        priority: Priority,
        fn: Callable[[], T],
        *,
        lane: str = "stt",
        budget_s: float = 30.0,
    ) -> asyncio.Future[T]:
        """Queue `fn` and return the future of its result, on the running loop.

        Cancelling the future drops the job if it has not begun. `budget_s` counts from the moment it begins.

        Raises (here or through the future):
            ProviderError: `overloaded` (too much waits already), `superseded` (`WorkSuperseded`), `timeout`, `closed`.
            Exception: whatever `fn` raised.
        """
        target = self._lanes[lane]
        job = Job(session, priority, fn, budget_s, asyncio.get_running_loop())
        target.add(job)
        self._watch()
        job.future.add_done_callback(
            lambda future: target.discard(job) if future.cancelled() else None
        )
        return job.future

    def _watch(self) -> None:
        """Start the watchdog with the first job."""
        if self._watchdog is not None:
            return
        with self._watchdog_lock:
            if self._watchdog is None and not self._closed:
                self._watchdog = threading.Thread(
                    target=self._guard, name="voxengine-watchdog", daemon=True
                )
                self._watchdog.start()

    def _guard(self) -> None:
        """Sleep until the next deadline, or until a job begins and brings a nearer one."""
        while not self._closed:
            now = time.monotonic()
            deadlines = [lane.expire(now) for lane in self._lanes.values()]
            known = [deadline for deadline in deadlines if deadline is not None]
            self._wake.wait(max(0.0, min(known) - now) if known else None)
            self._wake.clear()

    def threads(self, lane: str) -> int:
        """How many threads a lane has."""
        return self._lanes[lane].threads

    def stats(self) -> dict[str, dict[str, Any]]:
        """Counts, queue waits and run times (ms) of each lane."""
        return {name: lane.stats.as_dict() for name, lane in self._lanes.items()}

    def close(self, timeout: float = 5.0) -> None:
        """Refuse new work, fail what waits, and let what runs end (at most `timeout` seconds)."""
        self._closed = True
        self._wake.set()
        threads = [thread for lane in self._lanes.values() for thread in lane.close()]
        end = time.monotonic() + timeout
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, end - time.monotonic()))


_shared: ModelWorker | None = None
_shared_lock = threading.Lock()


def shared_worker() -> ModelWorker:
    """The worker of this process, made when it is first asked for and closed at exit."""
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = ModelWorker()
            atexit.register(_shared.close)
        return _shared


def _forget_shared() -> None:
    """In a forked child none of the threads exist: start afresh."""
    global _shared, _shared_lock
    _shared, _shared_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_shared)
