"""One of two connections that hear the same user: what it has heard, what it was asked for, and what it is saying.

Both give ids of their own to what the user says. Two turns are the same one if they began, or else ended, at nearly the
same time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from voxengine.events import (
    AudioOutputChunk,
    FunctionInvoked,
    ProviderEvent,
    ResponseCancelled,
    ResponseCompleted,
    ResponseError,
    ResponseStarted,
    TextOutput,
    TranscriptCompleted,
    TranscriptFailed,
    TurnDetected,
    VadSpeechEnded,
    VadSpeechStarted,
)
from voxengine.session.leg import Leg
from voxengine.session.replies import Reply

__all__ = [
    "ENDS",
    "MOST_KEPT",
    "OUTPUTS",
    "SAME",
    "Asked",
    "Contender",
    "Heard",
    "LogTurn",
    "Saying",
]

#: Seconds by which the same turn may begin, or end, later at one of the two.
SAME = 1.2
#: Seconds after which what was asked for is not waited for any more.
_STALE = 15.0
#: Turns that are remembered of each, and events of a response that are kept until it is decided.
_TURNS = 32
MOST_KEPT = 512

#: What a response is made of, and what ends it.
OUTPUTS = frozenset({TextOutput, AudioOutputChunk, FunctionInvoked})
ENDS = frozenset({ResponseCompleted, ResponseCancelled, ResponseError})
_OF_USER = frozenset(
    {VadSpeechStarted, VadSpeechEnded, TurnDetected, TranscriptCompleted, TranscriptFailed}
)


class LogTurn:
    """A turn of the user as the log has it. Times are seconds of the loop's clock, None while they are not known."""

    __slots__ = ("began", "id", "over")

    def __init__(self, id: str) -> None:
        self.id = id
        self.began: float | None = None
        self.over: float | None = None


class Heard:
    """A turn of the user as one connection tells of it: its id there, and `ours` in the log."""

    __slots__ = ("began", "dropped", "events", "id", "ours", "over")

    def __init__(self, id: str | None) -> None:
        self.id = id
        self.ours: str | None = None
        self.began: float | None = None
        self.over: float | None = None
        #: What was told of it, the latest of each kind.
        self.events: dict[type[ProviderEvent], ProviderEvent] = {}
        #: The connection was told to forget it.
        self.dropped = False

    def is_same(self, turn: LogTurn) -> float | None:
        """Seconds between the two, if they may be the same."""
        after = self.began is not None and turn.over is not None and self.began > turn.over
        before = turn.began is not None and self.over is not None and turn.began > self.over
        if after or before:
            return None
        if self.began is not None and turn.began is not None:
            apart = abs(self.began - turn.began)
            if apart <= SAME:
                return apart
        if self.over is not None and turn.over is not None:
            apart = abs(self.over - turn.over)
            if apart <= SAME:
                return apart
        return None


class Asked:
    """An answer that it was asked for, or gives by itself: as this reply, or to something that it has heard."""

    __slots__ = ("at", "heard", "reply")

    def __init__(self, at: float, heard: Heard | None = None, reply: Reply | None = None) -> None:
        self.at = at
        self.heard = heard
        self.reply = reply

    def is_to(self, turn_id: str | None) -> bool:
        """Whether it answers this turn of the log."""
        if self.reply is not None:
            return self.reply.turn_id == turn_id  # which it may have been told since
        return self.heard is not None and turn_id is not None and self.heard.ours == turn_id


class Saying:
    """A response: what it answers (None: unknown), its items, and, while it is kept, its events."""

    __slots__ = ("asked", "events", "id", "items", "lost", "over", "spoken")

    def __init__(self, id: str | None, asked: Asked | None) -> None:
        self.id = id
        self.asked = asked
        self.events: list[ProviderEvent] = []
        self.items: dict[str, None] = {}
        #: Something of it could be perceived; all of it has come; nobody is to hear it.
        self.spoken = self.over = self.lost = False


class Contender:
    """Book-keeping of one connection. `place` is where in the user's audio it began to hear; None: it hears nothing."""

    def __init__(self, leg: Leg, place: int | None) -> None:
        self.leg = leg
        self.place = place
        self.turns: deque[Heard] = deque(maxlen=_TURNS)
        self.asked: deque[Asked] = deque(maxlen=_TURNS)
        self.saying: Saying | None = None
        #: The user speaks, as far as it knows.
        self.speaking = False

    def turn(self, item_id: str | None) -> Heard:
        """The turn of that id; without one, the latest."""
        for heard in reversed(self.turns):
            if item_id is None or heard.id == item_id:
                return heard
        heard = Heard(item_id)
        self.turns.append(heard)
        return heard

    def pair(self, log: Iterable[LogTurn]) -> None:
        """Find out which turns of the log its own are."""
        turns = list(log)
        taken = {heard.ours for heard in self.turns}
        for heard in self.turns:
            if heard.ours is not None:
                continue
            near = [(apart, t) for t in turns if (apart := heard.is_same(t)) is not None]
            free = [one for one in near if one[1].id not in taken]
            # Two turns for it may be one for the other, which waits longer for the user to go on.
            if free or near:
                heard.ours = min(free or near, key=lambda one: one[0])[1].id
                taken.add(heard.ours)

    def take(self, event: ProviderEvent, now: float) -> None:
        """It tells of something."""
        kind = type(event)
        if kind in _OF_USER:
            self._of_user(event, now)
        elif kind is ResponseStarted:
            self.saying = Saying(event.response_id, self._next(now))  # type: ignore[attr-defined]
        elif kind in OUTPUTS:
            saying = self._saying(event.response_id, now)  # type: ignore[attr-defined]
            item_id = event.item_id  # type: ignore[attr-defined]
            if item_id is not None:
                saying.items[item_id] = None
        elif kind in ENDS:
            response_id = event.response_id  # type: ignore[attr-defined]
            known = self.saying is not None and self.saying.id == response_id
            if not known and kind is not ResponseCompleted:
                self.saying = Saying(response_id, self._next(now))  # it has failed before it began
            if self.saying is not None:
                self.saying.over = True

    def ask(self, now: float, reply: Reply) -> None:
        """It was asked for this reply."""
        self.asked.append(Asked(now, reply=reply))

    def will_answer(self, turn_id: str | None) -> bool:
        """Whether it answers this turn of the log without being asked again."""
        saying = self.saying
        present = saying is not None and not saying.lost and (saying.spoken or not saying.over)
        asked = [saying.asked] if present and saying is not None else []
        if any(one is not None and one.is_to(turn_id) for one in (*asked, *self.asked)):
            return True
        return any(heard.ours == turn_id and heard.over is None for heard in self.turns)

    @property
    def aliases(self) -> dict[str, str]:
        """Ids of the log by its own, of the user's turns."""
        return {h.id: h.ours for h in self.turns if h.id is not None and h.ours is not None}

    # -- what it is told

    def do(
        self, call: Callable[[], Awaitable[Any]], failed: Callable[[Exception], None] | None = None
    ) -> None:
        """Make a call in its turn. Whether it fails is of no interest, unless somebody wants to know."""
        self.leg.outbox.put(call, quiet=failed is None, on_error=failed)

    def call_off(self) -> None:
        """What it says, or was asked to say, is not wanted."""
        saying, provider = self.saying, self.leg.provider
        if provider.capabilities.cancel_requested:
            self.asked.clear()
        if saying is not None and not saying.lost:
            self.lose(saying)
        elif saying is None or saying.over:
            self.do(provider.interrupt)

    def lose(self, saying: Saying) -> None:
        """Nobody is to hear it."""
        saying.lost = True
        saying.events.clear()
        if saying.over:
            self.dispose()
        else:
            self.do(self.leg.provider.interrupt)

    def dispose(self) -> None:
        """Of an answer that nobody heard nothing stays in its memory."""
        saying = self.saying
        if saying is not None and saying.lost and saying.over:
            self.delete(*saying.items)
            saying.items.clear()
            saying.events.clear()

    def delete(self, *item_ids: str) -> None:
        """Have it forget items, where it can."""
        provider = self.leg.provider
        if provider.capabilities.delete:
            for item_id in item_ids:
                self.do(partial(provider.delete_item, item_id))

    # -- inside

    def _of_user(self, event: ProviderEvent, now: float) -> None:
        kind, item_id = type(event), event.item_id  # type: ignore[attr-defined]
        if kind is VadSpeechStarted and item_id is None:
            self.turns.append(Heard(None))
        heard = self.turn(item_id)
        heard.events[kind] = event
        if kind is VadSpeechStarted:
            self.speaking = True
            heard.began = now if heard.began is None else heard.began
            heard.over = None
            if self.leg.provider.capabilities.self_interrupting:
                self.asked.clear()
        elif kind is VadSpeechEnded:
            self.speaking = False
        elif kind is TurnDetected:
            self.speaking = False
            heard.over = now
            if self.leg.provider.capabilities.auto_response:
                self.asked.append(Asked(now, heard))

    def _next(self, now: float) -> Asked | None:
        while self.asked:
            asked = self.asked.popleft()
            if now - asked.at <= _STALE:
                return asked
        return None

    def _saying(self, response_id: str | None, now: float) -> Saying:
        saying = self.saying
        if saying is None or (response_id is not None and saying.id != response_id):
            saying = self.saying = Saying(response_id, self._next(now))
        return saying
