"""What can happen to a file: death of the process, a full disk, locks, damage, other versions, other processes."""

from __future__ import annotations

import asyncio
import logging
import signal
import sqlite3
import stat
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.conftest import KINDS
from tests.store.test_contract import call, said, texts
from voxengine.conversation import Item
from voxengine.store import (
    AddEvent,
    Change,
    ClearItems,
    DropItem,
    PutItem,
    SQLiteStore,
    StoreError,
    StoreHealth,
)
from voxengine.store.schema import MIGRATIONS, migrate
from voxengine.testing import run


@asynccontextmanager
async def opened(path: Path, **options: Any) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(path, **options)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new folder" / "calls.db"


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)


def read(path: Path) -> bytes:
    return path.read_bytes()


# -- death


@pytest.mark.real_clock
async def test_what_was_acknowledged_survives_kill_9(path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("writer.py")),
        str(path),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    acknowledged: list[int] = []
    async with asyncio.timeout(30):
        while len(acknowledged) < 3000:
            acknowledged.append(int(await process.stdout.readline()))
        process.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in (await process.stdout.read()).split(b"\n")[:-1]]
        assert await process.wait() == -signal.SIGKILL
    async with opened(path) as store:
        stored: set[str] = set()
        events: set[int] = set()
        for n in range(20):
            found = await store.load(f"call_{n}")
            assert found is not None
            assert found.call.status == "live"
            stored |= {item.id for item in found.items}
            events |= {e.data["n"] for e in await store.events(f"call_{n}", limit=10_000)}
    assert {f"item_{n}" for n in acknowledged} <= stored
    assert set(acknowledged) <= events
    assert {f"item_{n}" for n in events} == stored, "a write is stored whole, or not at all"


# -- what the file system says


async def test_nobody_else_may_read_it(path: Path) -> None:
    async with opened(path) as store:
        await store.begin_call(call())
        files = list(path.parent.iterdir())
        assert len(files) == 3, "the file, its log, and the log's index"
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


async def test_a_full_disk_is_told_and_waited_for(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[StoreHealth] = []
    async with opened(path) as store:
        store.watchers.add(told.append)
        await store.begin_call(call())
        await limit_pages(store, 40)
        futures = [
            store.write("call_1", PutItem(said(f"i{n}", "x" * 4000), float(n))) for n in range(60)
        ]
        await asyncio.wait(futures[-1:], timeout=3.0)
        assert not futures[-1].done()
        health = store.health
        assert (health.ok, health.code) == (False, "full")
        assert health.pending == 60, "all of a transaction, or nothing"
        assert await store.get("call_1") is not None, "it can still be read"
        await limit_pages(store, 10_000)
        await asyncio.wait_for(futures[-1], 10.0)
        assert len(await texts(store)) == 60
    assert [(h.ok, h.code) for h in told] == [(False, "full"), (True, "")]
    errors = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert "no room left" in errors[0]


async def limit_pages(store: SQLiteStore, pages: int) -> None:
    # The limit is the connection's own, so it is the store's connection that has to be told.
    await store._run(lambda: store._db._connection().execute(f"PRAGMA max_page_count = {pages}"))


async def test_another_process_that_holds_the_file_is_waited_for(path: Path) -> None:
    async with opened(path, busy=0.05) as store:
        await store.begin_call(call())
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            future = store.write("call_1", PutItem(said("a"), 1.0))
            await asyncio.wait([future], timeout=2.0)
            assert not future.done()
            assert (store.health.ok, store.health.code) == (False, "locked")
            other.execute("ROLLBACK")
        await asyncio.wait_for(future, 10.0)
        assert store.health.ok


async def test_the_queue_is_bounded_events_go_first(path: Path) -> None:
    async with opened(path, busy=0.01, max_pending=10) as store:
        await store.begin_call(call())
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            items = [store.write("call_1", PutItem(said(f"i{n}"), float(n))) for n in range(10)]
            event = store.write("call_1", AddEvent(1.0, "left out"))
            items += [
                store.write("call_1", PutItem(said(f"i{n}"), float(n))) for n in range(10, 20)
            ]
            late = store.write("call_1", PutItem(said("late"), 99.0))
            for refused in (event, late):
                assert refused.done()
                failure = refused.exception()
                assert isinstance(failure, StoreError)
                assert failure.code == "overflow"
            assert store.health.pending == 20
            assert store.health.dropped == 2
            other.execute("ROLLBACK")
        await asyncio.wait(items)
        assert await texts(store) == [f"i{n}" for n in range(20)]
        assert await store.events("call_1") == []


async def test_what_cannot_be_written_at_the_end_is_told(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(path, busy=0.01) as store:
        await store.begin_call(call())
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            future = store.write("call_1", PutItem(said("a"), 1.0))
            await store.close()
            assert isinstance(future.exception(), StoreError)
        late = store.write("call_1", PutItem(said("b"), 1.0))
        assert isinstance(late.exception(), StoreError)
    assert "1 changes not written" in caplog.text


@pytest.mark.parametrize(
    "content", [b"no database at all " * 300, b"SQLite format 3\0" + b"\xff" * 5000]
)
async def test_a_damaged_file_is_named(path: Path, content: bytes) -> None:
    write(path, content)
    with pytest.raises(
        StoreError, match=r"calls\.db: it is damaged, or no database; move it away"
    ) as refused:
        await SQLiteStore(path).open()
    assert refused.value.code == "corrupt"
    assert read(path) == content


async def test_another_programs_database_is_not_touched(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE theirs (x)")
    with pytest.raises(StoreError, match="another program's"):
        await SQLiteStore(path).open()


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as refused:
        await SQLiteStore(tmp_path / "file" / "calls.db").open()
    assert refused.value.code == "unwritable"


# -- versions


async def test_a_later_version_is_refused(path: Path) -> None:
    async with opened(path):
        pass
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="later version") as refused:
        await SQLiteStore(path).open()
    assert refused.value.code == "schema_too_new"


async def test_a_file_of_an_earlier_version_is_brought_up_to_date_with_its_data(path: Path) -> None:
    async with opened(path) as store:
        await store.begin_call(call())
    scripts = (
        *MIGRATIONS,
        "ALTER TABLE calls ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm';\nCREATE TABLE more (x);\n",
    )
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        migrate(db, scripts)
        migrate(db, scripts)
        assert db.execute("SELECT id, mood FROM calls").fetchall() == [("call_1", "calm")]
        assert db.execute("PRAGMA user_version").fetchone() == (len(scripts),)
        with pytest.raises(sqlite3.OperationalError):
            migrate(db, (*scripts, "CREATE TABLE fine (x);\nCREATE TABLE more (x);\n"))
        assert db.execute("PRAGMA user_version").fetchone() == (len(scripts),)
        assert db.execute("SELECT name FROM sqlite_master WHERE name = 'fine'").fetchall() == []


# -- forgetting


async def test_what_was_deleted_is_in_no_file(path: Path) -> None:
    secret = "a secret that was said"
    async with opened(path) as store:
        await store.begin_call(call())
        await store.write(
            "call_1", PutItem(said("a", secret), 1.0), AddEvent(1.0, "x", {"text": secret})
        )
        assert any(secret.encode() in file.read_bytes() for file in path.parent.iterdir())
        assert await store.delete("call_1")
        assert not any(secret.encode() in file.read_bytes() for file in path.parent.iterdir())


# -- several at once


@pytest.mark.real_clock
async def test_processes_that_start_at_once_share_the_file(path: Path) -> None:
    stores = [SQLiteStore(path) for _ in range(8)]
    await asyncio.gather(*(store.open() for store in stores))
    try:
        for n, store in enumerate(stores):
            _ = store.begin_call(call(n))
        futures = [
            store.write(f"call_{n}", PutItem(said(f"i{k}"), float(k)))
            for k in range(50)
            for n, store in enumerate(stores)
        ]
        await asyncio.gather(*futures)
        for n in range(len(stores)):
            assert await texts(stores[0], f"call_{n}") == [f"i{k}" for k in range(50)]
    finally:
        await asyncio.gather(*(store.close() for store in stores))


@pytest.mark.real_clock
async def test_a_write_does_not_hold_up_the_loop(path: Path) -> None:
    async with opened(path) as store:
        await store.begin_call(call())
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.perf_counter()
            futures = [store.write("call_1", PutItem(said(f"i{n}"), float(n))) for n in range(100)]
            await asyncio.sleep(0)
            assert time.perf_counter() - began < 0.5, "the file is locked for longer"
            other.execute("ROLLBACK")
        await asyncio.gather(*futures)
        assert store.health.commits <= 5, "what waits is written together"


# -- any order

_IDS = st.sampled_from(["a", "b", "c", "d"])
_CHANGES = st.one_of(
    st.builds(
        lambda id, text, place: PutItem(Item(id=id, text=text), place),
        _IDS,
        st.text(max_size=5),
        st.floats(allow_nan=False),
    ),
    st.builds(DropItem, _IDS),
    st.builds(ClearItems),
    st.builds(AddEvent, st.floats(0, 10), st.sampled_from(["x", "y"])),
)
#: Events of a call that are kept.
MOST = 4
_STEPS = st.lists(
    st.tuples(st.sampled_from(["call_1", "call_2"]), st.lists(_CHANGES, max_size=3)), max_size=16
)


# Every write that is waited for is a commit to the disk, and every example makes a database: few of both.
@settings(deadline=None, max_examples=30)
@given(steps=_STEPS, deleted=st.booleans(), waits=st.sets(st.integers(0, 15), max_size=4))
def test_any_order_of_writes_gives_what_a_dict_would(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str, list[Change]]],
    deleted: bool,
    waits: set[int],
) -> None:
    place = tmp_path_factory.mktemp("any")

    async def outcome(kind: str) -> object:
        store = KINDS[kind](place, MOST)
        await store.open()
        try:
            for n in (1, 2):
                _ = store.begin_call(call(n))
            for n, (call_id, changes) in enumerate(steps):
                future = store.write(call_id, *changes)
                if n in waits:
                    await asyncio.wait([future])
                if deleted and n == 10:
                    await store.delete("call_2")
            found = []
            for n in (1, 2):
                events = await store.events(f"call_{n}")
                assert len(events) <= MOST + MOST // 4, "the oldest go in handfuls"
                found.append((await store.load(f"call_{n}"), events[-MOST:]))
            return found
        finally:
            await store.close()

    assert run(outcome("sqlite")) == run(outcome("memory"))


async def test_one_that_does_not_fit_among_many_keeps_none_of_them_out(path: Path) -> None:
    """Many are written by one statement, in JSON; what that cannot say is written by itself."""
    async with opened(path) as store:
        await store.begin_call(call())
        many = [
            store.write("call_1", PutItem(said("a"), 1.0)),
            store.write("call_1", PutItem(said("last"), float("inf")), AddEvent(1.0, "x")),
            store.write("call_1", PutItem(said("b"), 2.0), AddEvent(2.0, "y")),
        ]
        assert await asyncio.gather(*many) == [None, None, None]
        assert await texts(store) == ["a", "b", "last"]
        assert [event.seq for event in await store.events("call_1")] == [1, 2]


async def test_events_of_many_calls_are_counted_apart(path: Path) -> None:
    async with opened(path, max_events=8) as store:
        names = [f"call_{n}" for n in range(3)]
        for n in range(3):
            await store.begin_call(call(n))
        writes = [store.write(name, AddEvent(float(n), "x")) for n in range(30) for name in names]
        await asyncio.gather(*writes)
        for name in names:
            kept = await store.events(name)
            assert [event.at for event in kept][-8:] == [float(n) for n in range(22, 30)]
            assert len(kept) <= 10
