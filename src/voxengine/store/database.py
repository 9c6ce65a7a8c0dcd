"""The SQLite file, as one thread sees it: opened, written in transactions, read.

It is in WAL mode with `synchronous=NORMAL`: a commit is a write to the log without waiting for the disk. What the
operating system has taken survives the death of the process, also by `kill -9`; only when the machine itself stops
(power, kernel) may the last commits be missing, and the file is whole even then. `synchronous=FULL` waits for the disk
with each commit, for those who need that too. (https://www.sqlite.org/pragma.html#pragma_synchronous)

What is deleted is overwritten (`secure_delete`), and the log is emptied after it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from voxengine.conversation import Item
from voxengine.session.ledger import LegUsage
from voxengine.store.base import (
    MAX_EVENTS,
    Status,
    StoredCall,
    StoredConversation,
    StoredEvent,
    StoredUsage,
    StoreError,
    read_cursor,
)
from voxengine.store.schema import migrate
from voxengine.store.statements import Beat, Gathered, Operation, statements

__all__ = ["Database", "Synchronous"]

Synchronous = Literal["normal", "full"]

#: Seconds to wait for another process that writes.
BUSY = 5.0

_COST = (
    "(SELECT CASE WHEN COUNT(*) = COUNT(cost) THEN SUM(cost) END FROM usage WHERE call_id = c.id)"
)
_SEEN = "COALESCE(c.ended_at, (SELECT seen_at FROM runs WHERE runs.id = c.run_id), c.started_at)"
_CALLS = f"""
SELECT c.id, session_hash, key_id, route, provider, wire, started_at, settings, session, status, ended_at, reason,
       {_SEEN}, {_COST}, parts
FROM calls c
"""  # noqa: S608 - of constants
_FIELDS = (
    "id", "session_hash", "key_id", "route", "provider", "wire", "started_at", "settings", "session", "status",
    "ended_at", "reason", "seen_at", "cost", "parts",
)  # fmt: skip


class _BadValue(Exception):
    """One operation cannot be stored, whatever is tried: that at `place`, None if that is not known."""

    def __init__(self, place: int | None, why: Exception) -> None:
        super().__init__(str(why))
        self.place = place


class Database:
    """One connection to the file. Not for several threads at once."""

    def __init__(
        self,
        path: Path,
        run: str,
        *,
        synchronous: Synchronous = "normal",
        busy: float = BUSY,
        max_events: int = MAX_EVENTS,
    ) -> None:
        self.path = path
        self._run = run
        self._synchronous = synchronous
        self._busy = busy
        self._max_events = max_events
        self._db: sqlite3.Connection | None = None
        self._gathered = Gathered(run, max_events)

    def open(self, now: float) -> None:
        """Open the file, make it if need be, bring it up to date, and say that this run is alive.

        Raises:
            StoreError: it cannot be used.
        """
        ending = time.monotonic() + self._busy
        while True:
            try:
                self.apply([Beat(now)])
                return
            except StoreError as failure:
                # To change a file to WAL, SQLite does not wait for another process that does it just now.
                if failure.code != "locked" or time.monotonic() > ending:
                    raise
                time.sleep(0.02)

    def close(self) -> None:
        """Let go of the file."""
        db, self._db = self._db, None
        if db is not None:
            with contextlib.suppress(sqlite3.Error):
                db.close()

    # -- writing

    def apply(self, operations: Sequence[Operation]) -> list[StoreError | None]:
        """Write all in one transaction. Returns for each what kept it, by itself, from being stored.

        Raises:
            StoreError: nothing was written.
        """
        results: list[StoreError | None] = [None] * len(operations)
        together = True
        while True:
            try:
                self._try(operations, results, together)
            except _BadValue as bad:
                if bad.place is None:
                    together = False
                else:
                    results[bad.place] = StoreError(f"this cannot be stored: {bad}", "bad_value")
            else:
                return results

    def _try(
        self, operations: Sequence[Operation], results: list[StoreError | None], together: bool
    ) -> None:
        """Write those of which nothing bad is known; `together`: by as few statements as can be.

        Raises:
            _BadValue: nothing was written, because of one of them.
        """
        gathered = self._gathered
        gathered.forget()  # of a transaction that failed
        with self._transaction() as db:
            for place, operation in enumerate(operations):
                if results[place] is not None:
                    continue
                try:
                    if together and gathered.take(operation):
                        continue
                    found = statements(operation, self._run, self._max_events)
                    self._write(gathered)
                    for statement, values in found:
                        db.execute(statement, values)
                except (ValueError, TypeError, OverflowError, sqlite3.IntegrityError) as failure:
                    raise _BadValue(place, failure) from None
            self._write(gathered)

    def _write(self, gathered: Gathered) -> None:
        """Write what was gathered.

        Raises:
            _BadValue: one of it cannot be stored, who knows which.
        """
        try:
            for statement, values in gathered.statements():
                self._connection().execute(statement, values)
        except (OverflowError, sqlite3.IntegrityError) as failure:
            raise _BadValue(None, failure) from None

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._errors():
            db = self._connection()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    # -- reading

    def get(self, call_id: str) -> StoredCall | None:
        """The call of that id."""
        return next(iter(self._select("WHERE c.id = ?", call_id)), None)

    def by_session(self, session_hash: str) -> StoredCall | None:
        """The latest call of a session."""
        tail = "WHERE session_hash = ? ORDER BY started_at DESC, id DESC LIMIT 1"
        return next(iter(self._select(tail, session_hash)), None)

    def list(
        self,
        limit: int,
        cursor: str | None,
        status: Status | None,
        key_id: str | None,
        route: str | None,
    ) -> Sequence[StoredCall]:
        """A page of calls, the latest first."""
        conditions, values = ["1"], list[object]()
        for column, value in (("status", status), ("key_id", key_id), ("route", route)):
            if value is not None:
                conditions.append(f"{column} = ?")
                values.append(value)
        if cursor is not None:
            conditions.append("(started_at, id) < (?, ?)")
            values += read_cursor(cursor)
        where = " AND ".join(conditions)
        return self._select(
            f"WHERE {where} ORDER BY started_at DESC, id DESC LIMIT ?", *values, limit
        )

    def load(self, call_id: str) -> StoredConversation | None:
        """A call with its items and its usage."""
        call = self.get(call_id)
        if call is None:
            return None
        items = self._rows(
            "SELECT data FROM items WHERE call_id = ? ORDER BY position, item_id", call_id
        )
        usage = self._rows(
            "SELECT part, data FROM usage WHERE call_id = ? ORDER BY part, provider, model", call_id
        )
        with self._errors():
            return StoredConversation(
                call,
                tuple(msgspec.json.decode(data, type=Item) for (data,) in items),
                tuple(
                    StoredUsage(part, msgspec.json.decode(data, type=LegUsage))
                    for part, data in usage
                ),
            )

    def events(self, call_id: str, after: int, limit: int) -> Sequence[StoredEvent]:
        """Events of a call in their order."""
        rows = self._rows(
            "SELECT seq, at, type, data FROM events WHERE call_id = ? AND seq > ? ORDER BY seq LIMIT ?",
            call_id,
            after,
            limit,
        )
        with self._errors():
            return [
                StoredEvent(seq, at, kind, msgspec.json.decode(data))
                for seq, at, kind, data in rows
            ]

    def _select(self, tail: str, *values: object) -> Sequence[StoredCall]:
        rows = self._rows(_CALLS + tail, *values)
        with self._errors():
            return [_call(row) for row in rows]

    def _rows(self, statement: str, *values: object) -> Sequence[Any]:
        with self._errors():
            return self._connection().execute(statement, values).fetchall()

    # -- forgetting

    def delete(self, call_id: str) -> bool:
        """Remove a call with all that belongs to it."""
        with self._transaction() as db:
            gone = db.execute("DELETE FROM calls WHERE id = ?", (call_id,)).rowcount
        self._empty_log()
        return gone > 0

    def purge(self, before: float, limit: int) -> Sequence[StoredCall]:
        """Remove calls that ended before that time."""
        old = self._select(
            "WHERE ended_at IS NOT NULL AND ended_at < ? ORDER BY ended_at LIMIT ?", before, limit
        )
        if not old:
            return old
        with self._transaction() as db:
            db.executemany("DELETE FROM calls WHERE id = ?", [(call.id,) for call in old])
        self._empty_log()
        return old

    def close_abandoned(self, before: float) -> int:
        """Mark calls of runs that were last seen before that time."""
        seen = "COALESCE((SELECT seen_at FROM runs WHERE runs.id = run_id), started_at)"
        with self._transaction() as db:
            closed = db.execute(
                f"UPDATE calls SET status = 'interrupted', ended_at = {seen}, reason = 'process_lost' "  # noqa: S608
                f"WHERE status = 'live' AND run_id <> ? AND {seen} < ?",
                (self._run, before),
            ).rowcount
            db.execute(
                "DELETE FROM runs WHERE id <> ? AND seen_at < ? "
                "AND NOT EXISTS (SELECT 1 FROM calls WHERE run_id = runs.id AND status = 'live')",
                (self._run, before),
            )
        return closed

    def _empty_log(self) -> None:
        # Where a reader in another process holds on to it, the next deletion or the last process to close does it.
        self._rows("PRAGMA wal_checkpoint(TRUNCATE)")

    # -- the connection

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = self._connect()
        return self._db

    def _connect(self) -> sqlite3.Connection:
        folder = self.path.parent
        folder.mkdir(parents=True, exist_ok=True)
        # What people said is nobody else's to read. The log takes over the rights of the file.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        db = sqlite3.connect(
            self.path, timeout=self._busy, isolation_level=None, check_same_thread=False
        )
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(f"PRAGMA synchronous = {self._synchronous}")
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("PRAGMA secure_delete = ON")
            migrate(db)
        except BaseException:
            db.close()
            raise
        return db

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn what SQLite and the file system say into a `StoreError`.

        What waiting will not mend may be mended by opening the file anew.
        """
        try:
            yield
        except StoreError:
            raise
        except (sqlite3.Error, OSError, msgspec.MsgspecError) as failure:
            code = _code(failure)
            if code not in ("full", "locked"):
                self.close()
            raise StoreError(f"the store {self.path}: {_words(failure)}", code) from None


_HINTS = {
    "corrupt": "it is damaged, or no database; move it away, and a new one is made",
    "locked": "another process holds it locked",
    "full": "there is no room left on the disk",
    "unwritable": "it cannot be written to; look at its rights and those of its folder",
}


def _code(failure: Exception) -> str:
    if isinstance(failure, msgspec.MsgspecError):
        return "corrupt"
    if isinstance(failure, OSError):
        return "full" if failure.errno == 28 else "unwritable"
    name = str(getattr(failure, "sqlite_errorname", ""))
    kinds = {
        "SQLITE_CORRUPT": "corrupt", "SQLITE_NOTADB": "corrupt", "SQLITE_BUSY": "locked", "SQLITE_LOCKED": "locked",
        "SQLITE_FULL": "full", "SQLITE_READONLY": "unwritable", "SQLITE_CANTOPEN": "unwritable",
        "SQLITE_PERM": "unwritable",
    }  # fmt: skip
    return next((code for start, code in kinds.items() if name.startswith(start)), "failed")


def _words(failure: Exception) -> str:
    hint = _HINTS.get(_code(failure))
    return f"{hint} ({failure})" if hint else str(failure)


def _call(row: Sequence[Any]) -> StoredCall:
    values = dict(zip(_FIELDS, row, strict=True))
    values["settings"] = msgspec.json.decode(values["settings"])
    if values["session"] is not None:
        values["session"] = msgspec.json.decode(values["session"])
    return StoredCall(**values)
