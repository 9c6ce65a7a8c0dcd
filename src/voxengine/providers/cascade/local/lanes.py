"""One queue of the model worker, its threads, and the order in which it serves the sessions.

No asyncio here but the last step: the outcome of a job is handed to the event loop that submitted it.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

from voxengine.errors import ProviderError
from voxengine.providers.cascade.local.stats import LaneStats

__all__ = ["MAX_LOST", "MAX_QUEUED", "Job", "Lane", "Priority", "WorkSuperseded"]

#: Jobs of one session that may wait in a lane. More is refused with `overloaded`: a call that is that far behind
#: cannot catch up, and its caller should be told rather than be answered late.
MAX_QUEUED = 16
#: Threads of a lane that may be lost to jobs that never ended.
MAX_LOST = 4


class Priority(enum.IntEnum):
    """What goes first: a caller waits for URGENT work, listens during NORMAL work, and can do without PARTIAL work."""

    #: A final transcript; the first piece of a reply's speech.
    URGENT = 0
    #: The later pieces of a reply.
    NORMAL = 1
    #: A partial transcript: superseded by the session's next one, and by its final one.
    PARTIAL = 2


class WorkSuperseded(ProviderError):
    """A partial was dropped because newer work of the same session made it needless. Nothing is wrong."""

    code = "superseded"


class Job:
    """A function to run, for whom, and where its outcome is to go."""

    __slots__ = (
        "begun",
        "budget_s",
        "fn",
        "future",
        "loop",
        "priority",
        "queued",
        "session",
        "settled",
    )

    def __init__(
        self,
        session: str,
        priority: Priority,
        fn: Callable[[], Any],
        budget_s: float,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.session = session
        self.priority = priority
        self.fn = fn
        self.budget_s = budget_s
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        #: Monotonic seconds; `begun` is 0 while the job waits.
        self.queued = time.monotonic()
        self.begun = 0.0
        #: Whether the caller has its answer already (timed out), so that a late one is thrown away.
        self.settled = False

    def settle(self, result: Any, error: Exception | None) -> None:
        """Hand the outcome to the caller's loop, from any thread. A loop that is gone has no caller left."""
        self.settled = True
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(_deliver, self.future, result, error)


def _deliver(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


class Lane:
    """One queue and its threads. All state is guarded by `lock`."""

    def __init__(self, name: str, threads: int, max_queued: int, begun: Callable[[], None]) -> None:
        self.name = name
        #: Called when a job begins, so that the watchdog learns of its deadline.
        self.begun = begun
        self.threads = threads
        self.max_queued = max_queued
        self.lock = threading.Condition()
        # One rotation a priority: the session at the front is next, and goes to the back when it was served.
        self.waiting: tuple[OrderedDict[str, deque[Job]], ...] = tuple(
            OrderedDict() for _ in Priority
        )
        self.running: dict[threading.Thread, Job] = {}
        self.lost = 0
        self.alive: set[threading.Thread] = set()
        self.closed = False
        self.stats = LaneStats(name, threads)

    def add(self, job: Job) -> None:
        """Queue a job, from any thread.

        Raises:
            ProviderError: (`overloaded`) the session has too much waiting, or the lane takes no work.
        """
        with self.lock:
            if self.closed or self.lost >= MAX_LOST:
                self.stats.refused += 1
                why = (
                    "is closed"
                    if self.closed
                    else f"lost {self.lost} threads to jobs that never ended"
                )
                raise ProviderError(f"the model worker's lane {self.name} {why}", code="overloaded")
            self._supersede(job.session)
            held = sum(len(rotation.get(job.session, ())) for rotation in self.waiting)
            if held >= self.max_queued:
                self.stats.refused += 1
                raise ProviderError(
                    f"session {job.session!r} has {held} jobs waiting in the lane {self.name} already; the "
                    "machine is too slow for so many calls",
                    code="overloaded",
                    retryable=True,
                )
            self.waiting[job.priority].setdefault(job.session, deque()).append(job)
            self._start_threads()
            self.lock.notify()

    def _supersede(self, session: str) -> None:
        """Drop the session's waiting partial: whatever comes now is newer."""
        for job in self.waiting[Priority.PARTIAL].pop(session, ()):
            self.stats.superseded += 1
            job.settle(
                None,
                WorkSuperseded("a newer transcription of this session replaced this partial one"),
            )

    def _start_threads(self) -> None:
        while len(self.alive) < self.threads and not self.closed:
            thread = threading.Thread(target=self._run, name=f"voxengine-{self.name}", daemon=True)
            self.alive.add(thread)
            thread.start()

    def discard(self, job: Job) -> None:
        """Take a job that was cancelled out of the queue, if it has not begun."""
        with self.lock:
            rotation = self.waiting[job.priority]
            jobs = rotation.get(job.session)
            if jobs is not None and job in jobs:
                jobs.remove(job)
                self.stats.cancelled += 1
                if not jobs:
                    del rotation[job.session]

    def _next(self) -> Job | None:
        """The job whose turn it is, None when there is none for this thread."""
        for priority, rotation in zip(Priority, self.waiting, strict=True):
            if (
                priority is Priority.PARTIAL
                and self.threads > 1
                and len(self.running) >= self.threads - 1
            ):
                return None
            if rotation:
                session, jobs = rotation.popitem(last=False)
                job = jobs.popleft()
                if jobs:
                    rotation[session] = jobs
                return job
        return None

    def _run(self) -> None:
        me = threading.current_thread()
        while True:
            with self.lock:
                while (job := self._next()) is None and not self.closed:
                    self.lock.wait()
                if job is None:
                    self.alive.discard(me)
                    return
                if job.future.cancelled():
                    self.stats.cancelled += 1
                    continue
                job.begun = time.monotonic()
                self.running[me] = job
            self.begun()
            self._perform(job)
            with self.lock:
                if (
                    me not in self.alive
                ):  # the watchdog wrote this thread off, and it came back after all
                    self.lost -= 1
                    self._start_threads()
                    return
                del self.running[me]
                # A partial may have been left waiting for this thread to come free.
                self.lock.notify()

    def _perform(self, job: Job) -> None:
        error: Exception | None = None
        result: Any = None
        try:
            result = job.fn()
        except Exception as caught:
            error = caught
        except BaseException as caught:  # SystemExit in a job must not end the lane's thread
            error = ProviderError(f"model work ended with {type(caught).__name__}", code="failed")
        if isinstance(error, StopIteration):  # a future refuses it
            error = ProviderError("model work raised StopIteration", code="failed")
        now = time.monotonic()
        with self.lock:
            if job.settled:
                return
            self.stats.finish(job.begun - job.queued, now - job.begun, failed=error is not None)
            job.settle(result, error)

    def expire(self, now: float) -> float | None:
        """Report jobs past their budget, replace their threads; return when to look again (monotonic seconds)."""
        next_deadline: float | None = None
        with self.lock:
            for thread, job in list(self.running.items()):
                deadline = job.begun + job.budget_s
                if deadline > now:
                    next_deadline = (
                        deadline if next_deadline is None else min(next_deadline, deadline)
                    )
                    continue
                self.stats.timeouts += 1
                self.lost += 1
                self.alive.discard(thread)
                self.running.pop(thread, None)
                message = f"model work in the lane {self.name} took more than {job.budget_s:g} s"
                job.settle(None, ProviderError(message, code="timeout", retryable=True))
                if self.lost < MAX_LOST:
                    self._start_threads()
        return next_deadline

    def close(self) -> list[threading.Thread]:
        """Take no more work and fail what waits; return the threads, which end with what they run."""
        with self.lock:
            self.closed = True
            for rotation in self.waiting:
                for jobs in rotation.values():
                    for job in jobs:
                        job.settle(
                            None, ProviderError("the model worker was closed", code="closed")
                        )
                rotation.clear()
            self.lock.notify_all()
            return list(self.alive)
