"""Notes that the application puts into a conversation, each at its moment: what one is, and how they wait.

Here is the policy of the queue, without I/O and without a clock: times are passed in. What a moment is, and how a note
reaches a provider, is for the session to know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from voxengine.conversation.log import Conversation
from voxengine.errors import MessageError

__all__ = [
    "QUEUE_LIMIT",
    "Injection",
    "InjectionPoint",
    "InjectionQueue",
    "InjectionResult",
    "InjectionStatus",
    "Note",
    "Queued",
]

InjectionPoint: TypeAlias = Literal[
    "now", "next_turn", "before_response", "after_response", "on_silence"
]
InjectionStatus: TypeAlias = Literal[
    "queued", "applied", "degraded", "expired", "rejected", "replaced", "cancelled"
]
Condition: TypeAlias = Callable[[Conversation], bool]

#: Notes that may wait at a time.
QUEUE_LIMIT = 64

_ROLES = ("system", "user", "assistant")


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """A text for the conversation, and when it is to go in.

    Raises:
        MessageError: a value makes no sense.
    """

    id: str
    text: str
    role: str = "system"
    when: InjectionPoint = "now"
    #: Of those that wait for the same moment, the greater goes first.
    priority: int = 0
    #: Seconds after which it is of no use any more.
    ttl: float | None = None
    #: A later note of the same key takes the place of one that still waits.
    key: str | None = None
    #: Asked when the moment has come; if it says no, the note waits for the next such moment.
    condition: Condition | None = None
    #: The assistant is to respond to it.
    speak: bool = False
    #: Seconds of silence, for "on_silence".
    silence_s: float = 5.0

    def __post_init__(self) -> None:
        if self.role not in _ROLES:
            raise MessageError(f"role {self.role!r} is unknown; it is one of {', '.join(_ROLES)}")
        if self.when not in get_args(InjectionPoint):
            raise MessageError(
                f"when={self.when!r} is unknown; it is one of {', '.join(get_args(InjectionPoint))}"
            )
        if not isinstance(self.priority, int):
            raise MessageError(f"a priority is a whole number, not {self.priority!r}")
        _check_seconds("silence_s", self.silence_s)
        if self.ttl is not None:
            _check_seconds("ttl", self.ttl)
        if self.condition is not None and not callable(self.condition):
            raise MessageError("a condition is a function of the conversation")


def _check_seconds(name: str, value: Any) -> None:
    if not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise MessageError(f"{name} is a number of seconds above 0, not {value!r}")


class InjectionResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a note: any status but "queued"."""

    injection_id: str
    status: InjectionStatus
    #: Of one that is "degraded": by which other way, or at which other moment, it went in.
    degraded_to: str | None = None
    #: Why, in words or a code, where it is not simply "applied".
    reason: str = ""
    #: Its item in the log.
    item_id: str | None = None


class Injection:
    """The handle of a note that was put in. `await` it for its result.

    `cancel_by` is called with the id when it is to be taken back.
    """

    def __init__(self, note: Note, cancel_by: Callable[[str], None]) -> None:
        self.note = note
        self._cancel_by = cancel_by
        self._result: InjectionResult | None = None
        self._waiting: list[asyncio.Future[InjectionResult]] = []

    @property
    def id(self) -> str:
        """By which the event `context_injected` names it."""
        return self.note.id

    @property
    def status(self) -> InjectionStatus:
        """Where it stands: "queued", or one of the others, which are final."""
        return self._result.status if self._result is not None else "queued"

    @property
    def degraded_to(self) -> str | None:
        """By which other way, or at which other moment, it went in."""
        return self._result.degraded_to if self._result is not None else None

    @property
    def reason(self) -> str:
        """Why it has this status."""
        return self._result.reason if self._result is not None else ""

    def cancel(self) -> bool:
        """Take it back, if it still waits; False if it is too late for that.

        Raises:
            MessageError: it was called by the condition of a note.
        """
        if self._result is None:
            self._cancel_by(self.id)
        return self.status == "cancelled"

    async def result(self, timeout: float | None = None) -> InjectionResult:  # noqa: ASYNC109
        """Wait until it has a final status. One with neither `timeout` nor ttl may wait until the conversation ends.

        Raises:
            TimeoutError: it has none after so many seconds; it waits on.
        """
        if self._result is not None:
            return self._result
        future: asyncio.Future[InjectionResult] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            async with asyncio.timeout(timeout):
                return await future
        finally:
            if future in self._waiting:
                self._waiting.remove(future)

    def __await__(self) -> Generator[Any, None, InjectionResult]:
        return self.result().__await__()

    def settle(self, result: InjectionResult) -> None:
        """For the session: this became of it. Only the first result counts."""
        if self._result is not None:
            return
        self._result = result
        for future in self._waiting:
            if not future.done():
                future.set_result(result)

    def __repr__(self) -> str:
        return f"<Injection {self.id} {self.note.when} {self.status}>"


@dataclass(slots=True, eq=False)
class Queued:
    """A note that waits."""

    note: Note
    number: int
    expires_at: float | None = None
    #: Its moment has come, and it waits only for a way to go in.
    due: bool = False
    #: It was one before the one that was asked for.
    early: bool = False
    #: The last moment at which its condition said no.
    refused_at: object = None

    @property
    def rank(self) -> tuple[int, int]:
        """Where it stands among those of the same moment, the first being the least."""
        return -self.note.priority, self.number


#: A note that left the queue, how, and why.
Left: TypeAlias = tuple[Note, InjectionStatus, str]


class InjectionQueue:
    """Those that wait: by priority, then by age.

    When there are more than `QUEUE_LIMIT`, the one of the lowest priority is refused, and of several such the newest:
    that may be the one that comes.
    """

    def __init__(self, limit: int = QUEUE_LIMIT) -> None:
        self._limit = limit
        self._waiting: dict[str, Queued] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Queued]:
        """In the order in which they go in. The queue may be changed meanwhile."""
        return iter(sorted(self._waiting.values(), key=lambda queued: queued.rank))

    def __contains__(self, note_id: object) -> bool:
        return note_id in self._waiting

    def add(self, note: Note, now: float) -> list[Left]:
        """Let a note wait; those that have to leave for it, or itself."""
        left: list[Left] = []
        if note.key is not None:
            for old in [q.note for q in self._waiting.values() if q.note.key == note.key]:
                del self._waiting[old.id]
                left.append((old, "replaced", f"by {note.id}"))
        self._count += 1
        expires_at = None if note.ttl is None else now + note.ttl
        self._waiting[note.id] = Queued(note, self._count, expires_at)
        return left + self._overflow()

    def put_back(self, queued: Queued) -> list[Left]:
        """One that was taken out could not go in after all. It keeps its place; those that have to leave for it."""
        self._waiting[queued.note.id] = queued
        return self._overflow()

    def _overflow(self) -> list[Left]:
        if len(self._waiting) <= self._limit:
            return []
        last = max(self._waiting.values(), key=lambda queued: queued.rank)
        del self._waiting[last.note.id]
        return [(last.note, "rejected", "queue_full")]

    def take(self, note_id: str) -> Queued | None:
        """Take one out; None if it does not wait."""
        return self._waiting.pop(note_id, None)

    def expire(self, now: float) -> list[Note]:
        """Take out those whose time is over, in order."""
        over = [q for q in self if q.expires_at is not None and q.expires_at <= now]
        for queued in over:
            del self._waiting[queued.note.id]
        return [queued.note for queued in over]

    @property
    def next_expiry(self) -> float | None:
        """When the next of them expires."""
        return min(
            (q.expires_at for q in self._waiting.values() if q.expires_at is not None), default=None
        )
