"""What a change means in SQL.

Each statement that writes to a call names the run that owns it, so that it does nothing to a call that was deleted, or
that another run has taken over.

Most of what is written are items, events and usage, of many calls at a time. `Gathered` writes all of each kind by one
statement: the thread that writes has to win the interpreter back from the event loop after every statement, which on a
busy loop takes far longer than the statement itself.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from voxengine.store.base import (
    AddEvent,
    ClearItems,
    DropItem,
    PutCall,
    PutItem,
    PutUsage,
    StoredCall,
)

__all__ = ["Beat", "Begin", "End", "Gathered", "Operation", "Write", "statements"]

_OWNED = "FROM calls c WHERE c.id = ? AND c.run_id = ?"
_IF_OWNED = f"call_id = (SELECT c.id {_OWNED})"

_BEGIN = """
INSERT INTO calls (id, run_id, session_hash, key_id, route, provider, wire, started_at, settings, session)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    run_id = excluded.run_id, parts = parts + 1, session_hash = excluded.session_hash, key_id = excluded.key_id,
    route = excluded.route, provider = excluded.provider, wire = excluded.wire, settings = excluded.settings,
    session = excluded.session, status = 'live', ended_at = NULL, reason = ''
"""
_END = "UPDATE calls SET status = 'ended', ended_at = ?, reason = ? WHERE id = ? AND run_id = ?"
_BEAT = "INSERT INTO runs VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at"
_PUT_ITEM = f"""
INSERT INTO items SELECT c.id, ?, ?, ? {_OWNED}
ON CONFLICT (call_id, item_id) DO UPDATE SET position = excluded.position, data = excluded.data
"""
_DROP_ITEM = f"DELETE FROM items WHERE item_id = ? AND {_IF_OWNED}"  # noqa: S608 - of constants, as below
_CLEAR_ITEMS = f"DELETE FROM items WHERE {_IF_OWNED}"  # noqa: S608
_PUT_USAGE = f"""
INSERT INTO usage SELECT c.id, c.parts, ?, ?, ?, ? {_OWNED}
ON CONFLICT (call_id, part, provider, model) DO UPDATE SET cost = excluded.cost, data = excluded.data
"""
_ADD_EVENT = f"""
INSERT INTO events
SELECT c.id, (SELECT COALESCE(MAX(seq), 0) + 1 FROM events WHERE call_id = c.id), ?, ?, ? {_OWNED}
"""  # noqa: S608
_BOUND_EVENTS = """
DELETE FROM events WHERE call_id = ? AND seq <= (SELECT MAX(seq) FROM events WHERE call_id = ?) - ?
"""
_ROWS = "FROM json_each(?) e CROSS JOIN calls c ON c.id = e.value ->> 0 AND c.run_id = ? WHERE true"
_PUT_ITEMS = f"""
INSERT INTO items SELECT c.id, e.value ->> 1, e.value ->> 2, e.value ->> 3 {_ROWS}
ON CONFLICT (call_id, item_id) DO UPDATE SET position = excluded.position, data = excluded.data
"""
_PUT_USAGES = f"""
INSERT INTO usage SELECT c.id, c.parts, e.value ->> 1, e.value ->> 2, e.value ->> 3, e.value ->> 4 {_ROWS}
ON CONFLICT (call_id, part, provider, model) DO UPDATE SET cost = excluded.cost, data = excluded.data
"""
_ADD_EVENTS = f"""
INSERT INTO events
SELECT c.id,
       (SELECT COALESCE(MAX(seq), 0) FROM events WHERE call_id = c.id)
           + ROW_NUMBER() OVER (PARTITION BY c.id ORDER BY e.key),
       e.value ->> 1, e.value ->> 2, e.value ->> 3 {_ROWS}
"""  # noqa: S608
_PUT_CALL = """
UPDATE calls SET provider = COALESCE(?, provider), settings = COALESCE(?, settings), session = COALESCE(?, session)
WHERE id = ? AND run_id = ?
"""


class Begin(msgspec.Struct, frozen=True):
    """A call begins in this run."""

    call: StoredCall


class Write(msgspec.Struct, frozen=True):
    """Changes of one call, together or not at all."""

    call_id: str
    changes: tuple[object, ...]


class End(msgspec.Struct, frozen=True):
    """A call is over."""

    call_id: str
    at: float
    reason: str


class Beat(msgspec.Struct, frozen=True):
    """The run is alive."""

    at: float


Operation = Begin | Write | End | Beat
_Statement = tuple[str, tuple[object, ...]]


def statements(operation: Operation, run: str, max_events: int) -> list[_Statement]:
    """The SQL of an operation, with its parameters.

    Raises:
        ValueError, TypeError: it holds what cannot be stored.
    """
    if isinstance(operation, Write):
        owner = (operation.call_id, run)
        return [
            statement
            for change in operation.changes
            for statement in _change(change, owner, max_events)
        ]
    if isinstance(operation, Begin):
        c = operation.call
        named = (c.id, run, c.session_hash, c.key_id, c.route, c.provider, c.wire, c.started_at)
        session = _json(c.session) if c.session is not None else None
        return [(_BEGIN, (*named, _json(c.settings), session))]
    if isinstance(operation, End):
        return [(_END, (operation.at, operation.reason, operation.call_id, run))]
    return [(_BEAT, (run, operation.at))]


def _change(change: object, owner: tuple[str, str], max_events: int) -> list[_Statement]:
    if isinstance(change, PutItem):
        item = change.item
        return [(_PUT_ITEM, (item.id, change.position, _json(item), *owner))]
    if isinstance(change, AddEvent):
        added = (_ADD_EVENT, (change.at, change.type, _json(change.data), *owner))
        return [added, (_BOUND_EVENTS, (owner[0], owner[0], max_events))]
    if isinstance(change, PutUsage):
        leg = change.leg
        return [(_PUT_USAGE, (leg.provider, leg.model, leg.cost, _json(leg), *owner))]
    if isinstance(change, DropItem):
        return [(_DROP_ITEM, (change.item_id, *owner))]
    if isinstance(change, ClearItems):
        return [(_CLEAR_ITEMS, owner)]
    if isinstance(change, PutCall):
        settings, session = (
            _json(v) if v is not None else None for v in (change.settings, change.session)
        )
        return [(_PUT_CALL, (change.provider, settings, session, *owner))]
    raise TypeError(f"{type(change).__name__} is no change of a call")


class Gathered:
    """Items, events and usage of many calls, to be written together."""

    #: Events of a call after which it is looked whether there are too many.
    BOUND_AFTER = 50

    def __init__(self, run: str, max_events: int) -> None:
        self._run = run
        self._max_events = max_events
        self._items: dict[tuple[str, str], tuple[object, ...]] = {}
        self._usage: dict[tuple[str, str, str], tuple[object, ...]] = {}
        self._events: list[tuple[object, ...]] = []
        self._uncounted: Counter[str] = Counter()

    def take(self, operation: Operation) -> bool:
        """Add what an operation writes; False, and nothing is added, if that is of another kind.

        Raises:
            ValueError, TypeError: it holds what cannot be stored.
        """
        if not isinstance(operation, Write) or not all(
            isinstance(change, (PutItem, AddEvent, PutUsage)) for change in operation.changes
        ):
            return False
        call = operation.call_id
        rows: list[tuple[object, tuple[object, ...]]] = []
        for change in operation.changes:  # all of it is encoded before any of it counts
            if isinstance(change, PutItem):
                item = change.item
                rows.append((change, (call, item.id, change.position, _json(item))))
            elif isinstance(change, AddEvent):
                rows.append((change, (call, change.at, change.type, _json(change.data))))
            elif isinstance(change, PutUsage):
                leg = change.leg
                rows.append((change, (call, leg.provider, leg.model, leg.cost, _json(leg))))
        for change, row in rows:
            if isinstance(change, PutItem):
                self._items[call, change.item.id] = row
            elif isinstance(change, PutUsage):
                self._usage[call, change.leg.provider, change.leg.model] = row
            else:
                self._events.append(row)
        return True

    def statements(self) -> list[_Statement]:
        """The SQL of all that was taken, which is forgotten by this."""
        found: list[_Statement] = []
        for sql, rows in (
            (_PUT_ITEMS, list(self._items.values())),
            (_PUT_USAGES, list(self._usage.values())),
            (_ADD_EVENTS, self._events),
        ):
            if rows:
                found.append((sql, (_json(rows), self._run)))
        for call, *_ in self._events:
            self._uncounted[str(call)] += 1
        limit = min(self.BOUND_AFTER, self._max_events // 4)
        for call in [c for c, n in self._uncounted.items() if n > limit]:
            del self._uncounted[call]
            found.append((_BOUND_EVENTS, (call, call, self._max_events)))
        self._items, self._usage, self._events = {}, {}, []
        return found

    def forget(self) -> None:
        """Let go of what was taken."""
        self._items, self._usage, self._events = {}, {}, []


def _json(value: object) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()
