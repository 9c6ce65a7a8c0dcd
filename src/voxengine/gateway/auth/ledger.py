"""What has to outlive the process: what keys and client secrets have spent, and the client secrets that are still good.

An SQLite file that several processes may share. Its calls are made on the event loop, so it is set up to answer in
microseconds: a log beside the file (WAL), and no waiting for the disk. Kill the process, and nothing is lost; cut the
machine's power, and the last seconds may be.
"""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from typing import Any

import msgspec

from voxengine.errors import ConfigurationError

__all__ = ["SECRET_ACCOUNT", "Ledger", "LedgerError", "StoredSecret"]

logger = logging.getLogger(__name__)

#: Milliseconds that a call waits for another process which is writing.
_BUSY_MS = 20
#: What the accounts of client secrets begin with.
SECRET_ACCOUNT = "secret_"  # noqa: S105
_SCHEMA = """
CREATE TABLE IF NOT EXISTS spending (
    account TEXT NOT NULL, day TEXT NOT NULL, usd REAL NOT NULL, PRIMARY KEY (account, day)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS secrets (
    id TEXT PRIMARY KEY, digest BLOB NOT NULL, key_id TEXT NOT NULL, expires_at REAL NOT NULL, terms BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS secrets_by_end ON secrets (expires_at);
"""


class LedgerError(Exception):
    """The file cannot be asked now."""


class StoredSecret(msgspec.Struct, frozen=True):
    """A row of the client secrets. `digest` is the hash of its value, `terms` is JSON."""

    id: str
    digest: bytes
    key_id: str
    expires_at: float
    terms: bytes


class Ledger:
    """The file `access.db` in a folder; None: kept in memory.

    Raises:
        ConfigurationError: it cannot be opened.
    """

    def __init__(self, folder: Path | None) -> None:
        #: By account and day: US dollars that could not be written yet.
        self._unwritten: dict[tuple[str, str], float] = {}
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                path = folder / "access.db"
                path.touch(mode=0o600)
            self._db = sqlite3.connect(
                ":memory:" if folder is None else path,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                self._db.execute(f"PRAGMA busy_timeout = {_BUSY_MS * 100}")
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = OFF")
                self._db.executescript(_SCHEMA)
                self._db.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
            except sqlite3.Error:
                self._db.close()
                raise
        except (OSError, sqlite3.Error) as failure:
            where = "memory" if folder is None else str(folder)
            raise ConfigurationError(
                f"the file access.db cannot be used in {where}: {failure}"
            ) from None

    # -- money

    def spend(self, account: str, day: str, usd: float) -> None:
        """Add to what an account has spent on a day (YYYY-MM-DD). What cannot be written now is added later."""
        place = (account, day)
        self._unwritten[place] = self._unwritten.get(place, 0.0) + usd
        try:
            self._write_spending()
        except sqlite3.Error as failure:
            logger.warning("what calls cost will be noted later: %s", failure)

    def _write_spending(self) -> None:
        for place, usd in list(self._unwritten.items()):
            self._db.execute(
                "INSERT INTO spending VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET usd = usd + excluded.usd",
                (*place, usd),
            )
            del self._unwritten[place]

    def spent(self, account: str, since: str) -> float:
        """US dollars that an account has spent on a day and after it.

        Raises:
            LedgerError: the file cannot be asked.
        """
        query = "SELECT total(usd) FROM spending WHERE account = ? AND day >= ?"
        unwritten = sum(
            usd for (a, day), usd in self._unwritten.items() if a == account and day >= since
        )
        (written,) = self._one(query, (account, since)) or (0.0,)
        return float(written) + unwritten

    # -- client secrets

    def keep_secret(self, secret: StoredSecret) -> None:
        """Keep a client secret.

        Raises:
            LedgerError: the file cannot be written.
        """
        self._change("INSERT INTO secrets VALUES (?, ?, ?, ?, ?)", msgspec.structs.astuple(secret))

    def find_secret(self, name: str) -> StoredSecret | None:
        """The client secret of this id.

        Raises:
            LedgerError: the file cannot be asked.
        """
        query = "SELECT id, digest, key_id, expires_at, terms FROM secrets WHERE id = ?"
        row = self._one(query, (name,))
        return StoredSecret(*row) if row is not None else None

    def count_secrets(self) -> int:
        """How many client secrets there are, with those that have expired and were not dropped yet.

        Raises:
            LedgerError: the file cannot be asked.
        """
        (count,) = self._one("SELECT count(*) FROM secrets", ()) or (0,)
        return int(count)

    def drop_secrets(self, expired_before: float, spent_before: str) -> int:
        """Forget client secrets that have expired, and what those spent whose calls have long ended; how many it was.

        Raises:
            LedgerError: the file cannot be written.
        """
        self._change(
            "DELETE FROM spending WHERE account >= ? AND account < ? AND day < ?",
            (SECRET_ACCOUNT, SECRET_ACCOUNT + "~", spent_before),
        )
        return self._change("DELETE FROM secrets WHERE expires_at <= ?", (expired_before,))

    def close(self) -> None:
        """Write what is left, and close the file. May be called again."""
        try:
            if self._unwritten:
                self._write_spending()
        except sqlite3.Error as failure:
            logger.error("what the last calls cost could not be noted: %s", failure)
        self._db.close()

    def _one(self, query: str, values: tuple[object, ...]) -> tuple[Any, ...] | None:
        try:
            row: tuple[Any, ...] | None = self._db.execute(query, values).fetchone()
        except sqlite3.Error as failure:
            raise LedgerError(str(failure)) from None
        return row

    def _change(self, query: str, values: tuple[object, ...]) -> int:
        try:
            return self._db.execute(query, values).rowcount
        except sqlite3.Error as failure:
            raise LedgerError(str(failure)) from None
