"""Stores to test: each entry of `KINDS` has to keep the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from voxengine.store import MemoryStore, SessionStore, SQLiteStore

#: Makes a store whose data is at a place; another of the same place has the same data, where that is possible at all.
KINDS: dict[str, Callable[[Path, int], SessionStore]] = {
    "memory": lambda _, events: MemoryStore(max_events=events),
    "sqlite": lambda place, events: SQLiteStore(place / "calls.db", max_events=events),
}
#: Those whose data outlives the process.
LASTING = ("sqlite",)

#: Opens a store of the kind that is tested, which is closed at the end of the block.
Open = Callable[..., AbstractAsyncContextManager[SessionStore]]


def opener(kind: str, place: Path) -> Open:
    @asynccontextmanager
    async def open(events: int = 10_000) -> AsyncIterator[SessionStore]:
        store = KINDS[kind](place, events)
        await store.open()
        try:
            yield store
        finally:
            await store.close()

    return open


@pytest.fixture(params=sorted(KINDS))
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    return opener(request.param, tmp_path)


@pytest.fixture(params=LASTING)
def lasting(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    return opener(request.param, tmp_path)
