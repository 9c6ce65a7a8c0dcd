"""Calls to the provider, one after the other and each within a budget.

Everything but audio goes through here, so that what the session decides first also reaches the provider first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from voxengine.errors import ConnectionError, ProviderError

__all__ = ["Outbox"]

Call = Callable[[], Awaitable[Any]]
_OnError = Callable[[Exception], None]


class _Entry(NamedTuple):
    call: Call
    future: asyncio.Future[Any] | None
    on_error: _OnError
    budget: float


class Outbox:
    """Works in a task only while there is something to do.

    `on_error(exception)` is told of a call that failed and that nobody waits for.
    """

    #: Calls that may wait. More means that the provider takes none: then the newest fails at once.
    LIMIT = 512

    def __init__(self, provider: str, budget: float, on_error: Callable[[Exception], None]) -> None:
        self._provider = provider
        self._budget = budget
        self._on_error = on_error
        self._calls: deque[_Entry] = deque()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def put(
        self,
        call: Call,
        *,
        quiet: bool = False,
        on_error: Callable[[Exception], None] | None = None,
        budget: float | None = None,
    ) -> None:
        """Make a call when its turn comes. `quiet`: its failure is of no interest; else `on_error` may be its own.

        It may take `budget` seconds, if that is not the same as for all.
        """
        on_error = _ignore if quiet else on_error or self._on_error
        refused = self._add(_Entry(call, None, on_error, budget or self._budget))
        if refused is not None:
            on_error(refused)

    def do(self, call: Call) -> asyncio.Future[Any]:
        """Make a call when its turn comes, which is settled now; the future is its result.

        Raises (out of the future):
            ProviderError: it failed, or took longer than the budget (`code` is "timeout").
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        refused = self._add(_Entry(call, future, self._on_error, self._budget))
        if refused is not None:
            future.set_exception(refused)
        return future

    async def flush(self) -> None:
        """Wait until all that was put in has been done, also what is put in meanwhile."""
        while self._task is not None:
            await asyncio.wait([self._task])

    def close(self) -> None:
        """Drop what waits; those who wait for it are told. Nothing is taken any more."""
        self._closed = True
        while self._calls:
            future = self._calls.popleft().future
            if future is not None and not future.done():
                future.set_exception(self._lost())
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    def _lost(self) -> ConnectionError:
        return ConnectionError(
            "the connection was closed before this was sent", provider=self._provider, code="closed"
        )

    def _add(self, entry: _Entry) -> ProviderError | None:
        """Put a call into the queue; the error if that cannot be done."""
        if self._closed:
            return self._lost()
        if len(self._calls) >= self.LIMIT:
            return ProviderError(
                f"{self.LIMIT} calls wait for provider {self._provider!r}, which takes none",
                provider=self._provider,
                code="overloaded",
                retryable=True,
            )
        self._calls.append(entry)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(
                self._work(), name="voxengine-outbox"
            )
        return None

    async def _work(self) -> None:
        try:
            while self._calls:
                await self._one(self._calls.popleft())
        finally:
            self._task = None

    async def _one(self, entry: _Entry) -> None:
        future = entry.future
        try:
            async with asyncio.timeout(entry.budget):
                result = await entry.call()
        except asyncio.CancelledError:
            if future is not None and not future.done():
                future.set_exception(self._lost())
            raise
        except Exception as failure:
            late = isinstance(failure, TimeoutError)
            error = self._late(failure, entry.budget) if late else failure
            if future is not None:
                if not future.done():
                    future.set_exception(error)
            else:
                entry.on_error(error)
        else:
            if future is not None and not future.done():
                future.set_result(result)

    def _late(self, failure: Exception, budget: float) -> ProviderError:
        return ProviderError(
            f"provider {self._provider!r} took longer than {budget:g} s ({str(failure) or 'no answer'})",
            provider=self._provider,
            code="timeout",
            retryable=True,
        )


def _ignore(_: Exception) -> None:
    pass
