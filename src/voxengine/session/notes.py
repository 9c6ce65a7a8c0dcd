"""What the core remembers of the notes that were put into the conversation, beside those that wait."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from voxengine.conversation.injection import QUEUE_LIMIT, InjectionQueue, Note, Queued
from voxengine.session.means import Means
from voxengine.session.replies import Reply

__all__ = ["Given", "Notes"]


@dataclass(slots=True, eq=False)
class Given:
    """A note that was handed to the provider, which has not taken it yet."""

    queued: Queued
    means: Means
    #: Its item in the log, which counts when the provider has taken it.
    item_id: str | None
    #: The response that was the current one then, and whether one that was asked for in the same breath will have it.
    reply: Reply | None
    answered: bool


class Notes:
    """The notes of one conversation."""

    #: Notes that are remembered, to be told again to a connection that has no other way to know; and notes that the
    #: instructions of a session may hold.
    MEMORY = QUEUE_LIMIT

    def __init__(self) -> None:
        self.queue = InjectionQueue()
        self.given: dict[str, Given] = {}
        #: Those that went in, by id; and those of them that came after the last complete answer.
        self.applied: OrderedDict[str, Note] = OrderedDict()
        self.fresh: set[str] = set()
        #: What the instructions of the present session hold beside its own, by id of the note.
        self.instructions: dict[str, str] = {}
        #: What goes before the user's next text.
        self.prefix: list[str] = []
        #: A response is owed to a note, and the response that was the current one when it was taken.
        self.owed = False
        self.owed_after: Reply | None = None
        #: A response has begun that has not been heard to its end.
        self.responded = False
        #: The connection, as `Calls` counts them.
        self.leg = 0
        #: When the timer is set to.
        self.timer_at: float | None = None
        #: A condition is being asked.
        self.judging = False

    @property
    def any(self) -> bool:
        """Whether there is anything to look after."""
        return bool(
            len(self.queue)
            or self.given
            or self.applied
            or self.prefix
            or self.owed
            or self.timer_at is not None
        )

    def remember(self, note: Note) -> None:
        """It went in."""
        self.applied[note.id] = note
        self.fresh.add(note.id)
        if len(self.applied) > self.MEMORY:
            oldest, _ = self.applied.popitem(last=False)
            self.fresh.discard(oldest)
