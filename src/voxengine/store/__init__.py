"""Where conversations outlive the process: the contract, and the stores that keep it."""

from __future__ import annotations

from pathlib import Path

from voxengine.store.base import (
    AddEvent,
    Change,
    ClearItems,
    DropItem,
    PutCall,
    PutItem,
    PutUsage,
    SessionStore,
    StoredCall,
    StoredConversation,
    StoredEvent,
    StoredUsage,
    StoreError,
    StoreHealth,
)
from voxengine.store.memory import MemoryStore
from voxengine.store.sqlite import SQLiteStore

__all__ = [
    "AddEvent",
    "Change",
    "ClearItems",
    "DropItem",
    "MemoryStore",
    "PutCall",
    "PutItem",
    "PutUsage",
    "SQLiteStore",
    "SessionStore",
    "StoreError",
    "StoreHealth",
    "StoredCall",
    "StoredConversation",
    "StoredEvent",
    "StoredUsage",
    "open_store",
]


def open_store(place: str | Path | None) -> SessionStore:
    """The store of a configuration: a path is an SQLite file, None or "memory" keeps all in this process.

    It is yet to be opened.
    """
    if place is None or place in ("memory", ":memory:"):
        return MemoryStore()
    return SQLiteStore(Path(place))
