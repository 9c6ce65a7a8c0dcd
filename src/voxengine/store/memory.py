"""A store that lives as long as the process: for tests, and for gateways that are to keep nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from voxengine.clock import Clock
from voxengine.conversation import Item
from voxengine.session.ledger import LegUsage
from voxengine.store.base import (
    MAX_EVENTS,
    AddEvent,
    Change,
    ClearItems,
    DropItem,
    PutCall,
    PutItem,
    PutUsage,
    SessionStore,
    Status,
    StoredCall,
    StoredConversation,
    StoredEvent,
    StoredUsage,
    StoreError,
    StoreHealth,
    read_cursor,
)

__all__ = ["MemoryStore"]

logger = logging.getLogger("voxengine.store")

#: Calls that are over and still kept; of more than that the oldest go.
MAX_ENDED = 1000


class _Kept:
    """All that is kept of one call."""

    def __init__(self, call: StoredCall) -> None:
        self.call = call
        #: Their places, and themselves as JSON.
        self.items: dict[str, tuple[float, bytes]] = {}
        self.usage: dict[tuple[int, str, str], LegUsage] = {}
        self.events: list[StoredEvent] = []
        self._seq = 0

    def add_event(self, at: float, type: str, data: dict[str, Any]) -> None:
        """Add an event, with the next number."""
        self._seq += 1
        self.events.append(StoredEvent(self._seq, at, type, data))

    def change(self, told: dict[str, Any]) -> None:
        """Set fields of the call."""
        self.call = msgspec.structs.replace(self.call, **told)


class MemoryStore(SessionStore):
    """Keeps calls in this process. All that it is given is written at once."""

    def __init__(self, *, max_events: int = MAX_EVENTS, max_ended: int = MAX_ENDED) -> None:
        super().__init__()
        self._max_events = max_events
        self._max_ended = max_ended
        self._kept: dict[str, _Kept] = {}
        self._seen_at = 0.0
        self._written = 0
        self._dropped = 0
        self._done: asyncio.Future[None] | None = None

    async def open(self) -> None:
        """Make it ready, on the running loop."""
        self._done = asyncio.get_running_loop().create_future()
        self._done.set_result(None)
        self._seen_at = Clock().wall()

    async def close(self) -> None:
        """Nothing is to be done."""

    @property
    def health(self) -> StoreHealth:
        """It is always well."""
        return StoreHealth(written=self._written, commits=self._written, dropped=self._dropped)

    # -- writing

    def begin_call(self, call: StoredCall) -> asyncio.Future[None]:
        """See `SessionStore`."""
        kept = self._kept.get(call.id)
        if kept is None:
            self._kept[call.id] = _Kept(msgspec.structs.replace(call, parts=1))
        else:
            old = kept.call
            kept.call = msgspec.structs.replace(
                call, started_at=old.started_at, parts=old.parts + 1
            )
        return self._wrote()

    def write(self, call_id: str, *changes: Change, lazily: bool = False) -> asyncio.Future[None]:
        """See `SessionStore`."""
        kept = self._kept.get(call_id)
        if kept is not None:
            try:
                steps = [_prepare(kept, change) for change in changes]
            except (ValueError, TypeError) as failure:
                return self._refuse(failure)
            for step in steps:
                step()
            del kept.events[: -self._max_events]
        return self._wrote()

    def _refuse(self, failure: Exception) -> asyncio.Future[None]:
        self._dropped += 1
        logger.error("a change was left out: %s", failure)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_exception(StoreError(f"this cannot be stored: {failure}", "bad_value"))
        future.exception()  # nobody has to look at it
        self._tell()
        return future

    def end_call(self, call_id: str, *, at: float, reason: str = "") -> asyncio.Future[None]:
        """See `SessionStore`."""
        kept = self._kept.get(call_id)
        if kept is not None:
            kept.call = msgspec.structs.replace(
                kept.call, status="ended", ended_at=at, reason=reason
            )
            ended = [k.call for k in self._kept.values() if k.call.ended_at is not None]
            for call in ended[: -self._max_ended or None]:
                del self._kept[call.id]
        return self._wrote()

    def beat(self, at: float) -> asyncio.Future[None]:
        """See `SessionStore`."""
        self._seen_at = at
        return self._wrote()

    def _wrote(self) -> asyncio.Future[None]:
        assert self._done is not None, "a store is opened before it is used"
        self._written += 1
        return self._done

    # -- reading

    def _shown(self, kept: _Kept) -> StoredCall:
        call = kept.call
        costs = [leg.cost for leg in kept.usage.values()]
        known = [cost for cost in costs if cost is not None]
        return msgspec.structs.replace(
            call,
            seen_at=self._seen_at if call.ended_at is None else call.ended_at,
            cost=sum(known) if known and len(known) == len(costs) else None,
        )

    async def get(self, call_id: str) -> StoredCall | None:
        """See `SessionStore`."""
        kept = self._kept.get(call_id)
        return self._shown(kept) if kept is not None else None

    async def by_session(self, session_hash: str) -> StoredCall | None:
        """See `SessionStore`."""
        found = [k for k in self._kept.values() if k.call.session_hash == session_hash]
        latest = max(found, key=lambda k: (k.call.started_at, k.call.id), default=None)
        return self._shown(latest) if latest is not None else None

    async def load(self, call_id: str) -> StoredConversation | None:
        """See `SessionStore`."""
        kept = self._kept.get(call_id)
        if kept is None:
            return None
        placed = sorted(kept.items.values())
        return StoredConversation(
            self._shown(kept),
            tuple(msgspec.json.decode(data, type=Item) for _, data in placed),
            tuple(StoredUsage(part, leg) for (part, *_), leg in sorted(kept.usage.items())),
        )

    async def events(
        self, call_id: str, *, after: int = 0, limit: int = 1000
    ) -> Sequence[StoredEvent]:
        """See `SessionStore`."""
        kept = self._kept.get(call_id)
        found = kept.events if kept is not None else []
        return [event for event in found if event.seq > after][:limit]

    async def list(
        self,
        *,
        limit: int = 50,
        cursor: str | None = None,
        status: Status | None = None,
        key_id: str | None = None,
        route: str | None = None,
    ) -> Sequence[StoredCall]:
        """See `SessionStore`."""
        last = read_cursor(cursor) if cursor is not None else None
        found = [
            kept
            for kept in self._kept.values()
            if (status is None or kept.call.status == status)
            and (key_id is None or kept.call.key_id == key_id)
            and (route is None or kept.call.route == route)
            and (last is None or (kept.call.started_at, kept.call.id) < last)
        ]
        found.sort(key=lambda k: (k.call.started_at, k.call.id), reverse=True)
        return [self._shown(kept) for kept in found[:limit]]

    # -- forgetting

    async def delete(self, call_id: str) -> bool:
        """See `SessionStore`."""
        return self._kept.pop(call_id, None) is not None

    async def purge(self, before: float, *, limit: int = 200) -> Sequence[StoredCall]:
        """See `SessionStore`."""
        old = [
            self._shown(kept)
            for kept in self._kept.values()
            if kept.call.ended_at is not None and kept.call.ended_at < before
        ][:limit]
        for call in old:
            del self._kept[call.id]
        return old

    async def close_abandoned(self, before: float) -> int:
        """There is no other run: what is in this one's memory is alive."""
        return 0


def _prepare(kept: _Kept, change: Change) -> Callable[[], object]:
    """What makes the change.

    Raises:
        ValueError, TypeError: it holds what cannot be stored.
    """
    if isinstance(change, PutItem):
        placed = (change.position, _json(change.item))
        return lambda: kept.items.update({change.item.id: placed})
    if isinstance(change, DropItem):
        return lambda: kept.items.pop(change.item_id, None)
    if isinstance(change, ClearItems):
        return kept.items.clear
    if isinstance(change, PutUsage):
        leg = msgspec.structs.replace(change.leg)
        return lambda: kept.usage.update({(kept.call.parts, leg.provider, leg.model): leg})
    if isinstance(change, AddEvent):
        data = msgspec.json.decode(_json(change.data))
        return lambda: kept.add_event(change.at, change.type, data)
    if isinstance(change, PutCall):
        given = {name: getattr(change, name) for name in change.__struct_fields__}
        told = {n: msgspec.json.decode(_json(v)) for n, v in given.items() if v is not None}
        return lambda: kept.change(told)
    raise TypeError(f"{type(change).__name__} is no change of a call")


def _json(value: object) -> bytes:
    return msgspec.json.encode(value, enc_hook=str)
