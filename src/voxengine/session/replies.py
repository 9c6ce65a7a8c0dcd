"""Book-keeping of the assistant's responses: which one is due, which is under way, which no longer count."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum

from voxengine.session.effects import CreateResponse, Say

__all__ = ["Recent", "Replies", "Reply", "ReplyState"]


class ReplyState(StrEnum):
    """Due (asked for, not begun), active (begun), done (all of it sent, perhaps still playing), void (called off)."""

    DUE = "due"
    ACTIVE = "active"
    DONE = "done"
    VOID = "void"


@dataclass(slots=True)
class Reply:
    """One response."""

    id: str | None = None
    state: ReplyState = ReplyState.DUE
    #: The user's item that it answers.
    turn_id: str | None = None
    #: We asked for it; otherwise the provider began it by itself.
    ours: bool = False
    #: How it was asked for; None for the answer to a text, and for what the provider began.
    asked: CreateResponse | Say | None = None
    #: The provider never announced it: it ends with its audio.
    implied: bool = False
    #: The provider announced it, and gives no id with what belongs to it.
    unnamed: bool = False
    #: Ids of the assistant's items in it.
    items: list[str] = field(default_factory=list)
    #: Tool calls in it that have no result yet.
    open_calls: set[str] = field(default_factory=set)
    had_calls: bool = False
    #: The provider has everything it needs to go on after its tool calls, and has not yet gone on.
    awaits_continuation: bool = False
    #: A response was to be stopped when this one was asked for: it may have been this one that was.
    in_doubt: bool = False
    #: When it came to be due.
    due_at: float = 0.0
    #: We have asked a second time for that.
    asked_again: bool = False
    #: The provider would not give it: another one is asked for it.
    refused: bool = False
    #: Another provider was to be asked because this one is silent; that is not done twice.
    given_up: bool = False
    #: When it ended, and whether it ended well.
    ended_at: float = 0.0
    failed: bool = False


class Recent(OrderedDict[str, None]):
    """A set that remembers the last so many."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def add(self, key: str) -> None:
        """Remember a key, and forget the oldest beyond the size."""
        self[key] = None
        if len(self) > self._size:
            self.popitem(last=False)


class Replies:
    """At most one reply is due or active; those before it are remembered for a while, to tell late from new."""

    MEMORY = 64

    def __init__(self) -> None:
        self.current: Reply | None = None
        #: Asked for while another was under way, to be asked for again when that has ended.
        self.pending: CreateResponse | None = None
        #: Two are due, and this is what the second answers.
        self.next_turn: str | None = None
        self._known: OrderedDict[str, Reply] = OrderedDict()
        self.voided = Recent(self.MEMORY)
        #: A reply that the provider was to begin by itself, and that was called off before, will begin all the same;
        #: it has to be stopped then.
        self.stop_next = False
        #: So will as many that we had asked for, and have called off since.
        self.to_stop = 0
        #: A response without id was called off: what comes without id belongs to it, until it ends or the next begins.
        self.unnamed_voided = False

    @property
    def in_flight(self) -> Reply | None:
        """The reply that is due or active."""
        reply = self.current
        return (
            reply
            if reply is not None and reply.state in (ReplyState.DUE, ReplyState.ACTIVE)
            else None
        )

    @property
    def open(self) -> Reply | None:
        """The reply that is due or active, or that has ended but for its tools."""
        reply = self.current
        return (
            reply
            if self.in_flight is not None or (reply is not None and reply.open_calls)
            else None
        )

    @property
    def active(self) -> Reply | None:
        """The reply that has begun and not ended."""
        reply = self.current
        return reply if reply is not None and reply.state is ReplyState.ACTIVE else None

    def expect(
        self, turn_id: str | None, ours: bool, asked: CreateResponse | Say | None = None
    ) -> Reply:
        """A reply is due."""
        self.stop_next = False
        self.next_turn = None
        in_doubt = self.to_stop > 0
        if not ours:
            self.to_stop = 0
        self.current = Reply(turn_id=turn_id, ours=ours, asked=asked, in_doubt=in_doubt)
        return self.current

    def carry(self) -> Replies:
        """What of them holds for another connection, where ids are counted anew."""
        carried = Replies()
        carried.current, carried.pending = self.current, self.pending
        if self.next_turn is not None and carried.pending is None:
            carried.pending = CreateResponse(turn_id=self.next_turn, overtaken=True)
        return carried

    def begin(self, response_id: str, turn_id: str | None) -> Reply:
        """A reply has begun: the one that was due, or one that nobody expected."""
        reply = earlier = self.current
        if reply is None or reply.state is not ReplyState.DUE:
            answered = earlier is not None and earlier.turn_id == turn_id and not earlier.had_calls
            # Whatever it answers, it is not a turn that has its answer; a transcript may yet tell.
            reply = Reply(turn_id=self.next_turn or (None if answered else turn_id))
            self.next_turn = None
        reply.id = response_id
        reply.state = ReplyState.ACTIVE
        self.current = reply
        self._known[response_id] = reply
        if len(self._known) > self.MEMORY:
            self._known.popitem(last=False)
        return reply

    def get(self, response_id: str | None) -> Reply | None:
        """The reply of that id, if it counts."""
        reply = self._known.get(response_id) if response_id is not None else None
        return None if reply is None or reply.state is ReplyState.VOID else reply

    def known(self, response_id: str) -> bool:
        """Whether a reply of that id has begun, whatever has become of it."""
        return response_id in self._known

    def end(self, reply: Reply) -> None:
        """All of it has been sent."""
        reply.state = ReplyState.DONE

    def withdraw(self, reply: Reply) -> None:
        """It is not due any more, and will not begin either."""
        reply.state = ReplyState.VOID
        if self.current is reply:
            self.current = None

    def void(self, reply: Reply) -> None:
        """It was called off: what still comes of it does not count."""
        if reply.id is not None:
            self.voided.add(reply.id)
            self.unnamed_voided = reply.unnamed and reply.state is ReplyState.ACTIVE
        elif reply.state is ReplyState.DUE and not reply.ours:
            self.stop_next = True
        reply.state = ReplyState.VOID
        if self.current is reply:
            self.current = None
