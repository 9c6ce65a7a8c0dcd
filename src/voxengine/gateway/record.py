"""What of a call is stored, while it goes on; and how a later process takes it up again.

The record follows the events of the engine. It writes each change of the conversation when it happens, and the words of
an answer that is being spoken once a second; nothing is done per piece of audio.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from voxengine.clock import Clock
from voxengine.config import masked
from voxengine.conversation import Conversation, Item
from voxengine.engine import VoiceEngine
from voxengine.events import (
    ConversationUpdated,
    CostUpdated,
    EventType,
    ProviderEvent,
    ProviderSwitched,
    Subscription,
)
from voxengine.gateway.positions import Positions
from voxengine.gateway.refusal import Refused
from voxengine.session.ledger import LegUsage
from voxengine.store import (
    AddEvent,
    Change,
    ClearItems,
    DropItem,
    PutCall,
    PutItem,
    PutUsage,
    SessionStore,
    StoredCall,
    StoreHealth,
)

__all__ = ["BEAT", "CallRecord", "Resumable", "find_resumable", "session_hash"]

#: Seconds between two signs of life of a process.
BEAT = 5.0
#: Seconds between two looks at what is being said.
LOOK = 1.0
#: Seconds that the end of a call waits for its last words to be written.
LAST_WORDS = 2.0
#: Characters of one text in an event. What was said is in the items.
MAX_EVENT_TEXT = 2000

#: Events that tell, later, how a call went.
_TOLD = (
    EventType.CONNECTION_ESTABLISHED,
    EventType.CONNECTION_FAILED,
    EventType.CONNECTION_LOST,
    EventType.CONNECTION_RECONNECTING,
    EventType.CONNECTION_RESTORED,
    EventType.CONNECTION_EXPIRING,
    EventType.PROVIDER_SWITCHED,
    EventType.AUDIO_DROPPED,
    EventType.CONVERSATION_TURN_DETECTED,
    EventType.CONVERSATION_INTERRUPTED,
    EventType.CONTEXT_INJECTED,
    EventType.RESPONSE_STARTED,
    EventType.RESPONSE_COMPLETED,
    EventType.RESPONSE_CANCELLED,
    EventType.RESPONSE_ERROR,
    EventType.FUNCTION_INVOKED,
    EventType.FUNCTION_COMPLETED,
    EventType.FUNCTION_FAILED,
    EventType.FUNCTION_CANCELLED,
    EventType.TRANSCRIPT_FAILED,
    EventType.LIMIT_REACHED,
    EventType.METRICS_UPDATED,
    EventType.SYSTEM_WARNING,
    EventType.ERROR_GENERAL,
)


def session_hash(session_id: str) -> str:
    """What is stored of the id of a session. The id is random, so that a plain hash cannot be turned back."""
    return hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()


class CallRecord:
    """Writes one call to the store, from `begin` to `end`."""

    def __init__(self, store: SessionStore, call: StoredCall, engine: VoiceEngine) -> None:
        self._store = store
        self._call = call
        self._engine = engine
        self._clock = Clock()
        self._subscriptions: list[Subscription] = []
        self._positions = Positions()
        #: Items of which more is to come, with what was written of them: characters and ms of audio.
        self._growing: dict[str, tuple[int, float]] = {}
        self._timer: asyncio.TimerHandle | None = None
        #: Of the last change that a client may have been told of.
        self._last: asyncio.Future[None] | None = None
        self._store_ok = True
        self._over = False

    # -- life

    def begin(self) -> None:
        """Write what there is, and follow what happens. The engine is connected.

        A call that the store has already, of a process before, is taken over.
        """
        engine = self._engine
        self._last = self._store.begin_call(self._call)
        items = engine.conversation.items
        puts = [PutItem(_copy(item), self._positions.append(item.id)) for item in items]
        self._write(ClearItems(), *puts)
        for item in items:
            self._watch(item)
        self._subscriptions = [
            engine.on(EventType.CONVERSATION_UPDATED, self._item_changed),
            engine.on(EventType.COST_UPDATED, self._cost_changed),
            engine.on(EventType.PROVIDER_SWITCHED, self._switched),
            engine.on(_TOLD, self._happened),
        ]
        self._store.watchers.add(self._store_changed)

    def saved(self) -> asyncio.Future[None] | None:
        """Done when all that was said so far would outlive this process. None: it would already.

        Also None while the store is known to fail: then there is nothing to wait for.
        """
        last = self._last
        if last is None or last.done() or not self._store_ok:
            return None
        self._store.hurry()
        return last

    async def end(self, reason: str = "") -> None:
        """The call is over. Waits a moment for its last words to be written. May be called again."""
        if self._over:
            return
        await self._finish()
        self._last = self._store.end_call(self._call.id, at=self._clock.wall(), reason=reason)
        await self._written()

    async def leave(self) -> None:
        """As `end`, but the call is not over: another process may take it up."""
        if not self._over:
            await self._finish()
            await self._written()

    async def _finish(self) -> None:
        self._over = True
        self._store.watchers.discard(self._store_changed)
        for subscription in self._subscriptions:
            subscription.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self._write_growing()
        usage = self._engine.usage
        await usage.settle()
        for leg in usage.legs:
            self._put_leg(leg)

    async def _written(self) -> None:
        saved = self.saved()
        if saved is not None:
            await asyncio.wait([saved], timeout=LAST_WORDS)

    # -- what others know better

    def put_session(self, session: Mapping[str, Any]) -> None:
        """The client has set its session so. It holds no secret."""
        self._write(PutCall(session=dict(session)))

    def note(self, type: str, data: Mapping[str, Any] | None = None) -> None:
        """Something happened that is no event of the engine."""
        self._add_event(self._clock.wall(), type, data or {})

    # -- what the engine tells

    def _item_changed(self, event: ConversationUpdated) -> None:
        item: Item = event.item
        if event.action == "removed":
            self._positions.remove(item.id)
            self._growing.pop(item.id, None)
            self._write(DropItem(item.id))
            return
        if item.id in self._positions:
            self._write(PutItem(item, self._positions[item.id]))
            self._watch(item)
        elif item.id in self._engine.conversation:
            self._added(item)
            self._watch(item)
        # Else it was taken out again by somebody who was told before us; "removed" follows.

    def _added(self, item: Item) -> None:
        log = self._engine.conversation
        position = self._positions.insert(item.id, log)
        if position is not None:
            self._write(PutItem(item, position))
            return
        # There is no room left between its neighbours: all get new places.
        self._positions = Positions()
        puts = [PutItem(_copy(other), self._positions.append(other.id)) for other in log]
        self._write(ClearItems(), *puts)

    def _cost_changed(self, event: CostUpdated) -> None:
        # The ledger has priced all there is when this event comes.
        for leg in self._engine.usage.legs:
            if (leg.provider, leg.model) == (event.provider, event.model):
                self._put_leg(leg)

    def _put_leg(self, leg: LegUsage) -> None:
        self._write(PutUsage(msgspec.structs.replace(leg)))

    def _switched(self, event: ProviderSwitched) -> None:
        self._write(PutCall(provider=event.provider))

    def _happened(self, event: ProviderEvent) -> None:
        data = dict(event.data)
        if isinstance(data.get("error"), BaseException):
            del data["error"]
        if event.error is not None:
            data["message"] = event.error
        self._add_event(
            event.timestamp or self._clock.wall(), event.type, {**data, "provider": event.provider}
        )

    def _add_event(self, at: float, type: str, data: Mapping[str, Any]) -> None:
        kept = {
            name: value[:MAX_EVENT_TEXT] if isinstance(value, str) else value
            for name, value in masked(data).items()
            if value not in (None, "", ())
        }
        # Nobody is told of an event because it is stored, so nobody waits for that.
        _ = self._store.write(self._call.id, AddEvent(at, str(type), kept), lazily=True)

    def _store_changed(self, health: StoreHealth) -> None:
        if health.ok != self._store_ok:
            self._store_ok = health.ok
            self.note("store_recovered" if health.ok else "store_failed", {"code": health.code})

    # -- what is being said

    def _watch(self, item: Item) -> None:
        """Keep an eye on it, as long as it grows without a word."""
        if item.status != "in_progress" or item.role != "assistant":
            self._growing.pop(item.id, None)
            return
        self._growing[item.id] = _size(item)
        if self._timer is None:
            self._set_timer()

    def _set_timer(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK, self._look)

    def _look(self) -> None:
        self._timer = None
        self._write_growing()
        if self._growing:
            self._set_timer()

    def _write_growing(self) -> None:
        for item_id, written in list(self._growing.items()):
            item = self._engine.conversation.get(item_id)
            if item is None:
                del self._growing[item_id]
            elif _size(item) != written:
                self._growing[item_id] = _size(item)
                self._write(PutItem(_copy(item), self._positions[item_id]))

    # -- inside

    def _write(self, *changes: Change) -> None:
        self._last = self._store.write(self._call.id, *changes, lazily=True)


def _size(item: Item) -> tuple[int, float]:
    return len(item.text), item.audio_ms


def _copy(item: Item) -> Item:
    return msgspec.structs.replace(item, spans=list(item.spans))


class Resumable(msgspec.Struct, frozen=True):
    """A call that its client may go on with."""

    call: StoredCall
    conversation: Conversation
    #: The session as the client had set it.
    session: dict[str, Any] | None


async def find_resumable(
    store: SessionStore, session_id: str, *, key_id: str, window: float, now: float
) -> Resumable:
    """The call of a session whose process is gone, with its conversation as far as it went.

    `window` is how many seconds after the last sign of life it may be taken up; `now` is Unix time. Of another key's
    call nothing is told, not even that there is one.

    Raises:
        Refused: 404 there is no such session; 410 it is over.
        StoreError: the store cannot be read.
    """
    call = await store.by_session(session_hash(session_id))
    contents = await store.load(call.id) if call is not None and call.key_id == key_id else None
    if call is None or contents is None:
        raise Refused(404, "session_not_found", "There is no such session to resume.")
    # The process may have died just before it would have given the next sign.
    if call.status != "live" or now - call.seen_at > window + BEAT:
        raise Refused(410, "session_expired", "The session is over; it can no longer be resumed.")
    conversation = Conversation(call.id)
    for item in contents.items:
        conversation.add(item)
    conversation.settle()
    return Resumable(call, conversation, call.session)
