"""Signs of life, calls of dead processes, and forgetting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from voxengine import VoiceEngine
from voxengine.clock import Clock
from voxengine.gateway.recording import Recordings
from voxengine.gateway.retention import Keeper
from voxengine.store import SQLiteStore, StoredCall

DAY = 86_400.0


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(path / "calls.db")
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def keeper(
    store: SQLiteStore, recordings: Recordings | None = None, days: float | None = 2
) -> Keeper:
    return Keeper(store, recordings, resume_window=30, retention_days=days)


async def test_it_tells_that_the_process_is_alive(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        began = Clock().wall()
        await store.begin_call(StoredCall(id="call_1", started_at=began))
        keeping = keeper(store)
        keeping.start()
        keeping.start()
        await asyncio.sleep(62)
        call = await store.get("call_1")
        assert call is not None
        assert 55 <= call.seen_at - began <= 62
        assert call.status == "live"
        await keeping.close()
        await keeping.close()


async def test_calls_of_a_dead_process_are_marked_when_nobody_can_come_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as dead:
        await dead.begin_call(StoredCall(id="call_1", started_at=Clock().wall()))
    async with opened(tmp_path) as store:
        keeping = keeper(store)
        keeping.start()
        await asyncio.sleep(29)
        call = await store.get("call_1")
        assert call is not None
        assert call.status == "live", "its client may still come back"
        await asyncio.sleep(20)
        call = await store.get("call_1")
        assert call is not None
        assert (call.status, call.reason) == ("interrupted", "process_lost")
        await keeping.close()


async def test_what_is_too_old_is_removed_with_its_recording(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path / "recordings")
    async with opened(tmp_path) as store, VoiceEngine(provider="mock") as engine:
        now = Clock().wall()
        for name, ended in (("old", now - 2.1 * DAY), ("new", now - 1.9 * DAY)):
            started = ended - 60
            await store.begin_call(StoredCall(id=name, started_at=started))
            recording = recordings.begin(name, started, engine)
            recording.user(bytes(960))
            await recording.end()
            await store.end_call(name, at=ended)
        keeping = keeper(store, recordings)
        keeping.start()
        await asyncio.sleep(1)
        assert [call.id for call in await store.list()] == ["new"]
        assert await recordings.of("old", now - 2.1 * DAY - 60) == []
        assert len(await recordings.of("new", now - 1.9 * DAY - 60)) == 1
        await asyncio.sleep(0.15 * DAY)
        assert await store.list() == []
        assert await recordings.of("new", now - 1.9 * DAY - 60) == []
        await keeping.close()
    await recordings.close()


async def test_for_ever_is_for_ever(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.begin_call(StoredCall(id="old", started_at=1.0))
        await store.end_call("old", at=2.0)
        keeping = keeper(store, days=None)
        keeping.start()
        await asyncio.sleep(2 * 3600)
        assert len(await store.list()) == 1
        await keeping.close()
