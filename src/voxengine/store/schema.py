"""The tables of the SQLite store, and how a file of an earlier version is brought up to date.

`PRAGMA user_version` is the number of scripts that the file has been through. A script that has been released is never
changed; another is added.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from voxengine.store.base import StoreError

__all__ = ["APPLICATION_ID", "MIGRATIONS", "migrate"]

#: "Vox1": tells our files from those of other programs.
APPLICATION_ID = 0x566F7831

_FIRST = """
CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    seen_at REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE calls (
    id TEXT PRIMARY KEY,
    run_id TEXT NOT NULL,
    parts INTEGER NOT NULL DEFAULT 1,
    session_hash TEXT NOT NULL,
    key_id TEXT NOT NULL,
    route TEXT NOT NULL,
    provider TEXT NOT NULL,
    wire TEXT NOT NULL,
    started_at REAL NOT NULL,
    settings TEXT NOT NULL,
    session TEXT,
    status TEXT NOT NULL DEFAULT 'live',
    ended_at REAL,
    reason TEXT NOT NULL DEFAULT ''
);
CREATE INDEX calls_by_session ON calls (session_hash);
CREATE INDEX calls_by_start ON calls (started_at, id);
CREATE INDEX calls_by_end ON calls (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX calls_live ON calls (run_id) WHERE status = 'live';

CREATE TABLE items (
    call_id TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    item_id TEXT NOT NULL,
    position REAL NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (call_id, item_id)
) WITHOUT ROWID;

CREATE TABLE usage (
    call_id TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    part INTEGER NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    cost REAL,
    data TEXT NOT NULL,
    PRIMARY KEY (call_id, part, provider, model)
) WITHOUT ROWID;

CREATE TABLE events (
    call_id TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    at REAL NOT NULL,
    type TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (call_id, seq)
) WITHOUT ROWID;
"""

MIGRATIONS: Sequence[str] = (_FIRST,)


def migrate(db: sqlite3.Connection, scripts: Sequence[str] = MIGRATIONS) -> None:
    """Bring a file up to date, in one transaction. `db` is in autocommit mode.

    Raises:
        StoreError: it is of a later version, or another program's.
        sqlite3.Error: it cannot be read or written.
    """
    db.execute("BEGIN")  # all three of one moment: another process may be about to make the tables
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    db.execute("COMMIT")
    if application not in (0, APPLICATION_ID) or (tables and application == 0):
        raise StoreError("the file is another program's database; name another one", "corrupt")
    if version > len(scripts):
        raise StoreError(
            f"the store was written by a later version of this program (its schema is {version}, this program knows "
            f"{len(scripts)}); update the program, or name another file",
            "schema_too_new",
        )
    if version == len(scripts):
        return
    # Two processes may start at once: who comes second finds it done.
    db.execute("BEGIN IMMEDIATE")
    try:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        for script in scripts[version:]:
            for statement in script.split(";\n"):
                if statement.strip():
                    db.execute(statement)
        db.execute(f"PRAGMA user_version = {len(scripts)}")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
