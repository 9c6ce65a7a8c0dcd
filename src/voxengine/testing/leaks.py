"""What a program leaves behind on its event loop: tasks, timers, async generators, sockets.

Asyncio keeps these in private places; they are looked up leniently, so that another loop is checked for what it shows.
"""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["LeakError", "check_leaks", "find_leaks", "settle", "waiting_at"]

#: Rounds of the loop after which something that is always ready counts as settled.
_ROUNDS = 10_000


class LeakError(AssertionError):
    """Something was left behind on the event loop. `leaks` are the descriptions."""

    def __init__(self, leaks: list[str]) -> None:
        self.leaks = leaks
        super().__init__(
            "left behind on the event loop:\n" + "\n".join(f"  {leak}" for leak in leaks)
        )


async def settle() -> None:
    """Let the loop work off all that is ready. No virtual time passes."""
    ready = getattr(asyncio.get_running_loop(), "_ready", None)
    for _ in range(100 if ready is None else _ROUNDS):
        # Two rounds: the first may find a socket ready, whose callback only the second one runs.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if ready is not None and not ready:
            return


def waiting_at(task: asyncio.Task[Any]) -> str:
    """Which coroutine a task runs, and where its innermost one waits."""
    coroutine: Any = task.get_coro()
    name = getattr(coroutine, "__qualname__", repr(coroutine))
    inner = coroutine
    while (
        awaited := getattr(inner, "cr_await", None) or getattr(inner, "gi_yieldfrom", None)
    ) is not None:
        if (
            getattr(awaited, "cr_frame", None) is None
            and getattr(awaited, "gi_frame", None) is None
        ):
            break
        inner = awaited
    frame = getattr(inner, "cr_frame", None) or getattr(inner, "gi_frame", None)
    if frame is None:
        return str(name)
    return f"{name} at {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"


def find_leaks(loop: asyncio.AbstractEventLoop) -> list[str]:
    """Describe what is left on a loop that does not run."""
    leaks = [
        f"task {t.get_name()}: {waiting_at(t)}"
        for t in sorted(asyncio.all_tasks(loop), key=lambda t: t.get_name())
    ]
    leaks += [
        f"timer at {handle.when():.6f} (now {loop.time():.6f}): {_callback(handle)}"
        for handle in getattr(loop, "_scheduled", ())
        if not handle.cancelled()
    ]
    leaks += [
        f"async generator {g.__qualname__}, suspended in line {g.ag_frame.f_lineno}"
        for g in list(getattr(loop, "_asyncgens", ()))
        if g.ag_frame is not None
    ]
    if holds := getattr(loop, "_holds", 0):
        leaks.append(f"{holds} hold(s) on the clock: work in threads that was not waited for")
    return leaks + _sockets(loop)


def check_leaks(loop: asyncio.AbstractEventLoop) -> None:
    """Raise a `LeakError` if anything is left on a loop that does not run."""
    leaks = find_leaks(loop)
    if leaks:
        raise LeakError(leaks)


def _callback(handle: asyncio.Handle) -> str:
    callback = getattr(handle, "_callback", None)
    return getattr(callback, "__qualname__", None) or repr(callback)


def _sockets(loop: asyncio.AbstractEventLoop) -> list[str]:
    selector = getattr(loop, "_selector", None)
    own = getattr(getattr(loop, "_ssock", None), "fileno", lambda: -1)()
    if selector is None or selector.get_map() is None:
        return []
    return [
        f"socket {key.fd} still watched" for key in selector.get_map().values() if key.fd != own
    ]
