"""The contract of a store of calls.

A store keeps, for each call: what it is (`StoredCall`), the items of its conversation in their order, what each
provider used of each model, and the events worth keeping. It belongs to one event loop and one process, its run;
several runs may share the data behind it.

Writing never waits. `begin_call`, `write` and `end_call` put a change in a queue and return a future, which is done
when the change would outlive the process. Changes take effect in the order in which they were given, and those of one
`write` together or not at all. While the store cannot be reached they wait in the queue, which is bounded: from
`max_pending` changes on, events are left out; from twice that on, all is. What is left out fails its future with a
`StoreError`, is counted in `health` and logged. No future has to be looked at.

A call belongs to the run that began it, until another run begins it anew. What a run writes to a call that it does not
own, or that was deleted, has no effect.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from voxengine.conversation import Item
from voxengine.errors import VoiceEngineError
from voxengine.session.ledger import LegUsage

__all__ = [
    "MAX_EVENTS",
    "MAX_PENDING",
    "AddEvent",
    "Change",
    "ClearItems",
    "DropItem",
    "PutCall",
    "PutItem",
    "PutUsage",
    "SessionStore",
    "Status",
    "StoreError",
    "StoreHealth",
    "StoredCall",
    "StoredConversation",
    "StoredEvent",
    "StoredUsage",
    "read_cursor",
]

#: Events of one call that are kept, the newest.
MAX_EVENTS = 10_000
#: Changes that may wait to be written, before events are left out.
MAX_PENDING = 20_000

#: live: it goes on, or its process has died lately. interrupted: its process has died, and nobody came back in time.
Status: TypeAlias = Literal["live", "ended", "interrupted"]


class StoreError(VoiceEngineError):
    """The store could not do something.

    `code` is "corrupt", "locked", "full", "unwritable", "schema_too_new", "bad_value" (that one change cannot be
    stored), "overflow" (too much waits to be written), "closed" or "failed".
    """

    def __init__(self, message: str, code: str = "failed") -> None:
        super().__init__(message)
        self.code = code


class StoredCall(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a call as a whole. Times are Unix seconds."""

    id: str
    #: SHA-256 of the session's id, by which its client comes back: the id itself is not kept.
    session_hash: str = ""
    key_id: str = ""
    route: str = ""
    #: The provider at work.
    provider: str = ""
    #: What carries it: "websocket", "webrtc", "twilio".
    wire: str = ""
    started_at: float = 0.0
    #: What a resumed call has to know of how it was configured. No secrets.
    settings: dict[str, Any] = {}
    #: The session as its client has set it. No secrets.
    session: dict[str, Any] | None = None
    status: Status = "live"
    ended_at: float | None = None
    #: Why it ended.
    reason: str = ""
    #: The last sign of life of the process that it lives in; of a call that is over, its end. Set by the store.
    seen_at: float = 0.0
    #: US dollars so far; None when nothing was reported, or the price of any part is not known. Set by the store.
    cost: float | None = None
    #: How many times it was begun: once, and with each time that it was resumed. Set by the store.
    parts: int = 1

    @property
    def cursor(self) -> str:
        """Where a list goes on after this call."""
        return f"{self.started_at!r}:{self.id}"


class StoredUsage(msgspec.Struct, frozen=True):
    """What one provider used of one model, in one part of the call."""

    part: int
    leg: LegUsage


class StoredEvent(msgspec.Struct, frozen=True):
    """An event of the call: `seq` counts up from 1, `at` is Unix seconds."""

    seq: int
    at: float
    type: str
    data: dict[str, Any] = {}


class StoredConversation(msgspec.Struct, frozen=True):
    """A call with its items, in the order of the log, and its usage."""

    call: StoredCall
    items: tuple[Item, ...] = ()
    usage: tuple[StoredUsage, ...] = ()


class PutItem(msgspec.Struct, frozen=True):
    """An item is so, and its place is `position`: between those of lower and of higher ones."""

    item: Item
    position: float


class DropItem(msgspec.Struct, frozen=True):
    """An item was taken out of the conversation."""

    item_id: str


class ClearItems(msgspec.Struct, frozen=True):
    """All items are taken out; what follows in the same `write` is the conversation."""


class PutUsage(msgspec.Struct, frozen=True):
    """What a provider has used of a model so far, in this part of the call."""

    leg: LegUsage


class AddEvent(msgspec.Struct, frozen=True):
    """Something happened. `data` is what JSON can hold; what else is in it is kept as text."""

    at: float
    type: str
    data: dict[str, Any] = {}


class PutCall(msgspec.Struct, frozen=True, kw_only=True):
    """Something is known better of the call itself; None is what stays as it was."""

    provider: str | None = None
    settings: dict[str, Any] | None = None
    session: dict[str, Any] | None = None


Change: TypeAlias = "PutItem | DropItem | ClearItems | PutUsage | AddEvent | PutCall"


class StoreHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How the store is. Counts are of this run."""

    ok: bool = True
    #: Why not, in words, and the code of the `StoreError`.
    error: str = ""
    code: str = ""
    #: Changes that wait to be written, that were left out, and that were written.
    pending: int = 0
    dropped: int = 0
    written: int = 0
    #: Transactions, and how long the last one took, in ms.
    commits: int = 0
    commit_ms: float = 0.0


class SessionStore(ABC):
    """Keeps calls. See the module's docstring for what writing promises."""

    def __init__(self) -> None:
        #: Called with the health when it turns bad or good again, and when something was left out.
        self.watchers: set[Callable[[StoreHealth], None]] = set()

    # -- life

    @abstractmethod
    async def open(self) -> None:
        """Make it ready, on the running loop.

        Raises:
            StoreError: it cannot be used; the message says what to do.
        """

    @abstractmethod
    async def close(self) -> None:
        """Write what waits, within a few seconds, and let go of everything. May be called again."""

    @property
    @abstractmethod
    def health(self) -> StoreHealth:
        """How it is right now."""

    # -- writing

    @abstractmethod
    def begin_call(self, call: StoredCall) -> asyncio.Future[None]:
        """A call begins, or goes on in this run: then its start, its items, usage and events stay."""

    @abstractmethod
    def write(self, call_id: str, *changes: Change, lazily: bool = False) -> asyncio.Future[None]:
        """Something of a call has changed. `lazily`: nobody waits for it, so it may wait a moment for more."""

    def hurry(self) -> None:  # noqa: B027 - a store that never waits has nothing to do
        """Somebody waits for what was written lazily."""

    @abstractmethod
    def end_call(self, call_id: str, *, at: float, reason: str = "") -> asyncio.Future[None]:
        """A call is over, since `at`."""

    @abstractmethod
    def beat(self, at: float) -> asyncio.Future[None]:
        """Say that this run is alive, and so are its calls."""

    # -- reading, which sees what was written before

    @abstractmethod
    async def get(self, call_id: str) -> StoredCall | None:
        """The call of that id.

        Raises:
            StoreError: it cannot be read. So do all that follow.
        """

    @abstractmethod
    async def by_session(self, session_hash: str) -> StoredCall | None:
        """The call of the session whose id has this hash; of several the latest."""

    @abstractmethod
    async def load(self, call_id: str) -> StoredConversation | None:
        """A call with its items and its usage."""

    @abstractmethod
    async def events(
        self, call_id: str, *, after: int = 0, limit: int = 1000
    ) -> Sequence[StoredEvent]:
        """Events of a call in their order, from the one that follows `after` on."""

    @abstractmethod
    async def list(
        self,
        *,
        limit: int = 50,
        cursor: str | None = None,
        status: Status | None = None,
        key_id: str | None = None,
        route: str | None = None,
    ) -> Sequence[StoredCall]:
        """Calls, the latest first; `cursor` is that of the last one of the page before.

        Raises:
            StoreError: also where the cursor is none (code "bad_value").
        """

    # -- forgetting

    @abstractmethod
    async def delete(self, call_id: str) -> bool:
        """Remove a call and all that belongs to it, so that it cannot be recovered. Whether it was there."""

    @abstractmethod
    async def purge(self, before: float, *, limit: int = 200) -> Sequence[StoredCall]:
        """Remove calls that ended before that time, `limit` of them at most. Returns them."""

    @abstractmethod
    async def close_abandoned(self, before: float) -> int:
        """Mark calls as interrupted whose process has shown no sign of life since. Returns how many."""

    # -- inside

    def _tell(self) -> None:
        """Tell the watchers how it is."""
        health = self.health
        for watcher in tuple(self.watchers):
            watcher(health)


def read_cursor(cursor: str) -> tuple[float, str]:
    """The start and the id of the call that a cursor names.

    Raises:
        StoreError: it is none.
    """
    started, _, call_id = cursor.partition(":")
    try:
        return float(started), call_id
    except ValueError:
        raise StoreError("the cursor is not one that a list has given", "bad_value") from None
