"""What the connection waits for: the vendor's greeting, and its word on each change of the session."""

from __future__ import annotations

import asyncio
from collections import deque

__all__ = ["Waits"]


class Waits:
    """Futures that the vendor's messages settle. Changes are confirmed in the order in which they were sent."""

    def __init__(self) -> None:
        self._greeting: asyncio.Future[None] | None = None
        self._updates: deque[tuple[str, asyncio.Future[None]]] = deque()
        self._number = 0

    def greeting(self) -> asyncio.Future[None]:
        """Settled when the vendor has greeted us."""
        self._greeting = asyncio.get_running_loop().create_future()
        return self._greeting

    def update(self, event_id: str | None = None) -> tuple[str, asyncio.Future[None]]:
        """The id to send a change with, and what is settled when the vendor has confirmed or refused it."""
        self._number += 1
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (event_id or f"update_{self._number}", done)
        self._updates.append(entry)
        return entry

    def forget(self, event_id: str) -> None:
        """The vendor has not answered this one in time, and is not expected to any more."""
        for entry in self._updates:
            if entry[0] == event_id:
                self._updates.remove(entry)
                return

    def greeted(self) -> None:
        """The vendor has greeted us."""
        if self._greeting is not None and not self._greeting.done():
            self._greeting.set_result(None)

    def confirmed(self) -> None:
        """The vendor has made a change."""
        if self._updates:
            done = self._updates.popleft()[1]
            if not done.done():  # whoever waited may have been cancelled
                done.set_result(None)

    def refused(self, event_id: str | None, error: Exception) -> bool:
        """The vendor has refused something; True if it was a change, and somebody waits for it."""
        for entry in self._updates:
            if entry[0] == event_id:
                self._updates.remove(entry)
                awaited = not entry[1].done()
                _fail(entry[1], error)
                return awaited
        return False

    def fail(self, error: Exception) -> None:
        """Whoever waits, waits no longer."""
        if self._greeting is not None:
            _fail(self._greeting, error)
        while self._updates:
            _fail(self._updates.popleft()[1], error)


def _fail(future: asyncio.Future[None], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # that nobody may wait any more is no mistake
