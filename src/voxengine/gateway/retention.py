"""What a gateway does for its store by the clock: signs of life, calls of dead processes, and forgetting."""

from __future__ import annotations

import asyncio
import logging

from voxengine.clock import Clock
from voxengine.gateway.record import BEAT
from voxengine.gateway.recording import Recordings
from voxengine.store import SessionStore, StoreError

__all__ = ["Keeper"]

logger = logging.getLogger("voxengine.store")

#: Seconds between two looks for calls that are too old.
HOURLY = 3600.0
_DAY = 86_400.0


class Keeper:
    """One for each process. `resume_window` is in seconds; with `retention_days` None nothing is ever forgotten."""

    def __init__(
        self,
        store: SessionStore,
        recordings: Recordings | None,
        *,
        resume_window: float,
        retention_days: float | None,
    ) -> None:
        self._store = store
        self._recordings = recordings
        self._window = resume_window
        self._days = retention_days
        self._clock = Clock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin. The store is open."""
        if self._task is None:
            self._clock = Clock()
            self._task = asyncio.get_running_loop().create_task(
                self._run(), name="voxengine-keeper"
            )

    async def close(self) -> None:
        """End. May be called again."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        due = 0.0
        while True:
            now = self._clock.wall()
            try:
                if self._store.health.ok:
                    _ = self._store.beat(now)
                closed = await self._store.close_abandoned(now - self._window - BEAT)
                if closed:
                    logger.warning("%d calls of a process that is gone were not resumed", closed)
                if now >= due:
                    due = now + HOURLY
                    await self.purge(now)
            except (StoreError, OSError) as failure:
                logger.warning("the store could not be tidied up: %s", failure)
            await asyncio.sleep(BEAT)

    async def purge(self, now: float) -> int:
        """Remove what is older than it may be. Returns how many calls that were.

        Raises:
            StoreError, OSError: it could not all be removed.
        """
        if self._days is None:
            return 0
        before, count = now - self._days * _DAY, 0
        while old := await self._store.purge(before):
            count += len(old)
            if self._recordings is not None:
                for call in old:
                    await self._recordings.delete(call.id, call.started_at)
        if self._recordings is not None:
            # What no call is known of, such as of a store that was removed. A call may last beyond midnight.
            await self._recordings.purge(before - _DAY)
        if count:
            logger.info("%d calls were removed: they were older than %g days", count, self._days)
        return count
