"""An event loop whose clock is virtual: it jumps to the next timer instead of waiting for it.

A conversation of an hour runs in a blink, and every time in it is exact. What is not virtual is served as it is: ready
sockets come before any jump, and while work is outstanding elsewhere (`run_in_executor`, or whatever is declared with
`VirtualClockLoop.hold`) the loop waits for it in real time, while its clock stands still.

    from voxengine.testing import run

    async def main():
        await asyncio.sleep(3600)

    run(main())

A peer in another process or thread, which this loop cannot see at work, needs a `hold` around the wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import heapq
import os
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, TypeVar

from voxengine.testing.leaks import check_leaks, settle, waiting_at

__all__ = [
    "EPOCH",
    "DeadlockError",
    "TimeLimitError",
    "VirtualClockLoop",
    "advance",
    "run",
]

#: Unix time at which a virtual clock shows zero: 15 June 2025, 15:06:40 UTC.
EPOCH = 1_750_000_000.0
#: Seconds that a run may last, by its own clock and by the real one.
MAX_VIRTUAL = 24 * 3600.0
MAX_REAL = 120.0
#: Real seconds given to a peer outside of this loop, before a wait with open sockets counts as a deadlock.
PATIENCE = 1.0

_T = TypeVar("_T")


class DeadlockError(RuntimeError):
    """Nothing is ready, no timer is set, nothing is held: no event can ever come."""


class TimeLimitError(RuntimeError):
    """The run went on beyond its limit of virtual or of real time."""


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop with a virtual clock.

    Timers of the same instant run in the order in which they were set.

    Raises (out of `run_until_complete`):
        DeadlockError: everything waits for something that will never come. The message lists the tasks.
        TimeLimitError: `max_virtual` or `max_real` seconds have passed since the run began.
    """

    def __init__(
        self,
        *,
        start: float = 0.0,
        max_virtual: float = MAX_VIRTUAL,
        max_real: float = MAX_REAL,
        patience: float = PATIENCE,
    ) -> None:
        self._now = start
        self._order = 0
        self._holds = 0
        self._ending = start + max_virtual
        self._max_virtual = max_virtual
        self._max_real = max_real
        self._real_ending = float("inf")
        self._patience = patience
        #: Unix time at which `time()` is zero; `voxengine.clock.Clock` reads it.
        self.epoch = EPOCH
        super().__init__(_VirtualSelector(self, selectors.DefaultSelector()))

    # -- the clock

    def time(self) -> float:
        """Virtual seconds. They pass only between callbacks."""
        return self._now

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """As in every loop; of timers of the same instant, the one that was set first runs first."""
        if when is None:
            raise TypeError("when cannot be None")
        self._check_closed()  # type: ignore[attr-defined]
        self._order += 1
        timer = _Timer(when, callback, args, self, context)
        timer.order = self._order
        heapq.heappush(self._scheduled, timer)  # type: ignore[attr-defined]
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer

    def run_forever(self) -> None:
        """Run until `stop`; the limit of real time counts from here."""
        self._real_ending = time.monotonic() + self._max_real
        super().run_forever()

    # -- work that is done elsewhere

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """While this is open, the clock stands still and the loop waits in real time.

        May be entered on the loop and left in another thread.
        """
        self._holds += 1
        try:
            yield
        finally:
            self._release_soon()

    def _release(self) -> None:
        self._holds -= 1

    def _release_soon(self) -> None:
        self._soon(self._release)

    def _soon(self, call: Callable[[], object]) -> None:
        # On the loop, after whatever the same thread has queued there before.
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            self.call_soon_threadsafe(call)

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., _T], *args: Any
    ) -> asyncio.Future[_T]:
        """As in every loop; the clock stands still until the result is here."""
        self._check_closed()  # type: ignore[attr-defined]
        if executor is None:
            executor = self._default_executor  # type: ignore[has-type]
            if executor is None:
                self._check_default_executor()  # type: ignore[attr-defined]
                executor = ThreadPoolExecutor(thread_name_prefix="voxengine-virtual")
                self._default_executor = executor
        work = executor.submit(func, *args)
        future = asyncio.wrap_future(work, loop=self)
        # Until the loop knows of the result; or, where it no longer asks for it, until the thread has ended.
        held = contextlib.ExitStack()
        self._holds += 1
        held.callback(self._release)
        future.add_done_callback(lambda f: None if f.cancelled() else held.close())
        work.add_done_callback(lambda _: self._soon(held.close))
        return future

    async def shutdown_default_executor(self, *args: Any, **kwargs: Any) -> None:
        """As in every loop: wait for the threads, in real time."""
        with self.hold():
            await super().shutdown_default_executor(*args, **kwargs)

    # -- what the selector asks

    def _limit_real_time(self) -> float:
        left = self._real_ending - time.monotonic()
        if left <= 0:
            raise TimeLimitError(
                f"the run took more than {self._max_real:g} real seconds (at virtual second {self._now:g}); "
                f"running are:\n{self._tasks()}"
            )
        return left

    def _jump(self) -> None:
        """Let time pass until the next timer is due."""
        when: float = self._scheduled[0]._when  # type: ignore[attr-defined]
        if when > self._ending:
            raise TimeLimitError(
                f"the run went on for more than {self._max_virtual:g} virtual seconds; waiting are:\n{self._tasks()}"
            )
        self._now = max(self._now, when)

    def _deadlock(self) -> DeadlockError:
        return DeadlockError(
            "everything waits for something that will never come: no callback is ready, no timer is set, no thread "
            f"is at work. Waiting are:\n{self._tasks()}"
        )

    def _tasks(self) -> str:
        tasks = sorted(asyncio.all_tasks(self), key=lambda t: t.get_name())
        return "\n".join(f"  {t.get_name()}: {waiting_at(t)}" for t in tasks) or "  (no tasks)"


class _Timer(asyncio.TimerHandle):
    """Times that are equal are the rule on a virtual clock; a heap alone would shuffle them."""

    __slots__ = ("order",)
    order: int

    def __lt__(self, other: asyncio.TimerHandle) -> bool:
        mine, theirs = self.when(), other.when()
        return mine < theirs or (mine == theirs and self.order < getattr(other, "order", 0))


class _VirtualSelector(selectors.BaseSelector):
    """Stands before a real selector: instead of sleeping until a timer is due, it lets the loop's clock jump there."""

    def __init__(self, loop: VirtualClockLoop, inner: selectors.BaseSelector) -> None:
        self._loop = loop
        self._inner = inner

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        loop = self._loop
        real_left = loop._limit_real_time()
        ready = self._inner.select(0)
        if ready or timeout == 0:
            return ready
        if loop._holds:
            return self._inner.select(real_left)
        if len(self._inner.get_map()) > 1:  # more than the loop's own wake-up pipe
            ready = self._wait_for_peers(0.0 if timeout is not None else loop._patience)
            if ready:
                return ready
        if timeout is None:
            raise loop._deadlock()
        loop._jump()
        return []

    def _wait_for_peers(self, seconds: float) -> list[tuple[selectors.SelectorKey, int]]:
        # What one socket of this process sends is at the other at once, unless the kernel was busy: let it work.
        if hasattr(os, "sched_yield"):
            os.sched_yield()
        return self._inner.select(seconds)

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._inner.get_map()

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.get_key(fileobj)

    def close(self) -> None:
        self._inner.close()


def run(
    main: Coroutine[Any, Any, _T],
    *,
    start: float = 0.0,
    max_virtual: float = MAX_VIRTUAL,
    max_real: float = MAX_REAL,
    leak_check: bool = True,
) -> _T:
    """Run a coroutine on a virtual clock that shows `start` at first, and return its result.

    Raises:
        LeakError: it left tasks, timers, async generators, holds or sockets behind.
        DeadlockError: it waits for something that will never come.
        TimeLimitError: it went on for too long.
    """

    def make_loop() -> VirtualClockLoop:
        return VirtualClockLoop(start=start, max_virtual=max_virtual, max_real=max_real)

    with asyncio.Runner(loop_factory=make_loop) as runner:
        result = runner.run(main)
        if leak_check:
            runner.run(settle())
            check_leaks(runner.get_loop())
        return result


async def advance(seconds: float) -> None:
    """Let virtual time pass. When this returns, everything that was due by then has happened.

    Raises:
        RuntimeError: the running loop's clock is not virtual.
    """
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualClockLoop):
        raise RuntimeError(
            "advance() needs the virtual clock: run the test with voxengine.testing.run, or mark it with "
            "@pytest.mark.virtual_clock"
        )
    await asyncio.sleep(seconds)
    await settle()
