"""The store of a gateway: an SQLite file, written by one thread.

What is given to it is queued on the event loop. While the thread commits one transaction, the next gathers: all that
waits is one. So the loop never waits for the disk, and the more there is to write, the less each change costs.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec

from voxengine.clock import Clock
from voxengine.store.base import (
    MAX_EVENTS,
    MAX_PENDING,
    AddEvent,
    Change,
    SessionStore,
    Status,
    StoredCall,
    StoredConversation,
    StoredEvent,
    StoreError,
    StoreHealth,
)
from voxengine.store.database import BUSY, Database, Synchronous
from voxengine.store.statements import Beat, Begin, End, Operation, Write

__all__ = ["SQLiteStore"]

logger = logging.getLogger("voxengine.store")

#: Changes in one transaction at most, so that a long queue does not hold up those who read.
_BATCH = 2000
#: Seconds before what failed is tried again: at first, and at most.
_RETRY, _LONGEST = 0.25, 5.0
#: Seconds for which a change that nobody waits for may wait for others.
LINGER = 0.1
#: Seconds that closing may wait for what is not written yet, and reading for what was written before it.
CLOSING, FRESH = 5.0, 1.0

_T = TypeVar("_T")


class _Queued(msgspec.Struct):
    """A change that waits to be written."""

    operation: Operation
    future: asyncio.Future[None]


class SQLiteStore(SessionStore):
    """Keeps calls in an SQLite file, which several processes may share.

    `synchronous` is "normal", which survives the death of the process, or "full", which survives that of the machine,
    and waits for the disk with each transaction. `busy` is how many seconds another process may hold the file.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        synchronous: Synchronous = "normal",
        busy: float = BUSY,
        max_pending: int = MAX_PENDING,
        max_events: int = MAX_EVENTS,
    ) -> None:
        super().__init__()
        self.path = Path(path)
        self._max_pending = max_pending
        self._db = Database(
            self.path,
            os.urandom(8).hex(),
            synchronous=synchronous,
            busy=busy,
            max_events=max_events,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._queue: deque[_Queued] = deque()
        self._writer: asyncio.Task[None] | None = None
        #: While all that is queued may wait for more.
        self._lingering: asyncio.TimerHandle | None = None
        self._trouble: StoreError | None = None
        self._dropped = 0
        self._written = 0
        self._commits = 0
        self._commit_ms = 0.0

    # -- life

    async def open(self) -> None:
        """Open the file, make it if need be. See `SessionStore`."""
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="voxengine-store")
        try:
            await self._run(self._db.open, Clock().wall())
        except BaseException:
            self._thread.shutdown(wait=False)
            self._thread = None
            raise

    async def close(self) -> None:
        """Write what waits, within a few seconds. See `SessionStore`."""
        thread = self._thread
        if thread is None:
            return
        self.hurry()
        if self._writer is not None:
            await asyncio.wait([self._writer], timeout=CLOSING)
        if self._thread is None:
            return  # somebody else has closed it meanwhile
        self._thread = None
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait([self._writer])
        if self._queue:
            logger.error("the store is closed with %d changes not written", len(self._queue))
            while self._queue:
                self._fail(
                    self._queue.popleft().future, StoreError("the store is closed", "closed")
                )
        assert self._loop is not None
        await self._loop.run_in_executor(thread, self._db.close)
        thread.shutdown(wait=False)

    @property
    def health(self) -> StoreHealth:
        """How it is right now."""
        trouble = self._trouble
        return StoreHealth(
            ok=trouble is None,
            error=str(trouble) if trouble is not None else "",
            code=trouble.code if trouble is not None else "",
            pending=len(self._queue),
            dropped=self._dropped,
            written=self._written,
            commits=self._commits,
            commit_ms=self._commit_ms,
        )

    # -- writing

    def begin_call(self, call: StoredCall) -> asyncio.Future[None]:
        """See `SessionStore`."""
        return self._put(Begin(call))

    def write(self, call_id: str, *changes: Change, lazily: bool = False) -> asyncio.Future[None]:
        """See `SessionStore`."""
        return self._put(Write(call_id, changes), lazily)

    def hurry(self) -> None:
        """See `SessionStore`."""
        if self._queue and self._writer is None:
            self._begin()

    def end_call(self, call_id: str, *, at: float, reason: str = "") -> asyncio.Future[None]:
        """See `SessionStore`."""
        return self._put(End(call_id, at, reason))

    def beat(self, at: float) -> asyncio.Future[None]:
        """See `SessionStore`."""
        return self._put(Beat(at))

    def _put(self, operation: Operation, lazily: bool = False) -> asyncio.Future[None]:
        if self._loop is None:
            raise StoreError("the store is not open", "closed")
        future = self._loop.create_future()
        if self._thread is None:
            self._fail(future, StoreError("the store is closed", "closed"))
            return future
        waiting = len(self._queue)
        if waiting >= self._max_pending and (
            waiting >= 2 * self._max_pending or _only_events(operation)
        ):
            self._leave_out(future)
            return future
        self._queue.append(_Queued(operation, future))
        if self._writer is None:
            if not lazily:
                self._begin()
            elif self._lingering is None:
                self._lingering = self._loop.call_later(LINGER, self._begin)
        return future

    def _begin(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        assert self._loop is not None
        self._writer = self._loop.create_task(self._write(), name="voxengine-store")

    def _leave_out(self, future: asyncio.Future[None]) -> None:
        self._dropped += 1
        words = f"{len(self._queue)} changes wait to be written to the store: no more are taken"
        if self._dropped & (self._dropped - 1) == 0:  # the 1st, 2nd, 4th, 8th, ...
            logger.error("%s; %d were left out so far", words, self._dropped)
        self._fail(future, StoreError(words, "overflow"))
        self._tell()

    async def _write(self) -> None:
        """Write what is queued. The task lives while there is something, so an idle store costs nothing."""
        delay = _RETRY
        try:
            while self._queue:
                count = min(len(self._queue), _BATCH)
                batch = list(itertools.islice(self._queue, count))
                try:
                    await self._commit(batch)
                except StoreError as failure:
                    self._failed(failure)
                    await asyncio.sleep(delay)
                    delay = min(delay * 2, _LONGEST)
                else:
                    delay = _RETRY
        finally:
            self._writer = None

    async def _commit(self, batch: Sequence[_Queued]) -> None:
        """Write these, the first of the queue, and take them off it.

        Raises:
            StoreError: nothing was written.
        """
        began = time.perf_counter()
        results = await self._run(self._db.apply, [queued.operation for queued in batch])
        self._commit_ms = (time.perf_counter() - began) * 1000
        self._commits += 1
        for queued, failure in zip(batch, results, strict=True):
            self._queue.popleft()
            if failure is None:
                self._written += 1
                if not queued.future.done():
                    queued.future.set_result(None)
            else:
                self._dropped += 1
                logger.error("a change was left out: %s", failure)
                self._fail(queued.future, failure)
                self._tell()
        if self._trouble is not None:
            self._trouble = None
            logger.warning("the store %s works again", self.path)
            self._tell()

    def _failed(self, failure: StoreError) -> None:
        known = self._trouble is not None and self._trouble.code == failure.code
        self._trouble = failure
        if not known:
            logger.error("%s; calls go on, and what they have to say is kept until then", failure)
            self._tell()

    @staticmethod
    def _fail(future: asyncio.Future[None], failure: StoreError) -> None:
        if not future.done():
            future.set_exception(failure)
            future.exception()  # nobody has to look at it

    # -- reading

    async def get(self, call_id: str) -> StoredCall | None:
        """See `SessionStore`."""
        return await self._read(self._db.get, call_id)

    async def by_session(self, session_hash: str) -> StoredCall | None:
        """See `SessionStore`."""
        return await self._read(self._db.by_session, session_hash)

    async def load(self, call_id: str) -> StoredConversation | None:
        """See `SessionStore`."""
        return await self._read(self._db.load, call_id)

    async def events(
        self, call_id: str, *, after: int = 0, limit: int = 1000
    ) -> Sequence[StoredEvent]:
        """See `SessionStore`."""
        return await self._read(self._db.events, call_id, after, limit)

    async def list(
        self,
        *,
        limit: int = 50,
        cursor: str | None = None,
        status: Status | None = None,
        key_id: str | None = None,
        route: str | None = None,
    ) -> Sequence[StoredCall]:
        """See `SessionStore`."""
        return await self._read(self._db.list, limit, cursor, status, key_id, route)

    # -- forgetting

    async def delete(self, call_id: str) -> bool:
        """See `SessionStore`."""
        return await self._read(self._db.delete, call_id)

    async def purge(self, before: float, *, limit: int = 200) -> Sequence[StoredCall]:
        """See `SessionStore`."""
        return await self._read(self._db.purge, before, limit)

    async def close_abandoned(self, before: float) -> int:
        """See `SessionStore`."""
        return await self._read(self._db.close_abandoned, before)

    # -- inside

    async def _read(self, function: Callable[..., _T], *values: object) -> _T:
        """Call it in the thread, after all that was put into the queue before."""
        if self._queue:
            self.hurry()
            # Where writing fails, what is there is read all the same.
            await asyncio.wait([self._queue[-1].future], timeout=FRESH)
        return await self._run(function, *values)

    async def _run(self, function: Callable[..., _T], *values: object) -> _T:
        if self._thread is None or self._loop is None:
            raise StoreError("the store is not open", "closed")
        return await self._loop.run_in_executor(self._thread, function, *values)


def _only_events(operation: Operation) -> bool:
    return isinstance(operation, Write) and all(
        isinstance(change, AddEvent) for change in operation.changes
    )
