"""What the second of two connections that hear the user is told, so that it knows all that the one at work knows.

The user's audio reaches it by itself. Texts, notes and requests of the application are passed on as they come; what the
one at work has said, and what it did with tools, when it is over: as much of it as was heard.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from voxengine.conversation import Item
from voxengine.session import effects as fx
from voxengine.session.contender import SAME, Contender, LogTurn
from voxengine.session.core import SessionCore
from voxengine.session.replies import ReplyState
from voxengine.session.telling import tellable

__all__ = ["Relay"]


class Relay:
    """The two of them, and what passes from one to the other. `now` is the loop's clock."""

    def __init__(self, core: SessionCore, now: Callable[[], float]) -> None:
        self._core = core
        self._now = now
        self._work: Contender | None = None
        self._other: Contender | None = None
        #: The user's latest turns as the log has them.
        self._log: deque[LogTurn] = deque(maxlen=32)

    def _tell(self, other: Contender, playing: bool = False) -> None:
        """What was said; what is `playing`, only if nobody is left who could tell how much of it was heard."""
        leg, core = other.leg, self._core
        other.pair(self._log)
        known = leg.told | leg.left_out
        heard = {h.ours for h in other.turns}
        recent = {t.id for t in self._log if self._now() - (t.over or self._now()) < SAME}
        new: list[Item] = []
        for item in tellable(core.conversation):
            if item.id in known or (not playing and self._is_open(item)):
                continue
            if item.role == "user" and item.id in recent and item.id not in heard:
                break  # it may yet tell of it
            leg.told.add(item.id)
            if item.id not in heard:
                new.append(item)
        if new:
            self._tell_it(other, partial(leg.provider.add_conversation_history, new))
        self._forget_turns(other)

    def _is_open(self, item: Item) -> bool:
        """Whether more may come of it, or less of it be heard."""
        core, reply = self._core, self._core.replies.open
        if item.id in core.sounding:
            return True
        return reply is not None and reply.id is not None and item.response_id == reply.id

    def _forget_turns(self, other: Contender) -> None:
        """What it alone took for a turn of the user was none."""
        for heard in other.turns:
            if heard.dropped or heard.id is None or heard.over is None:
                continue
            alone = heard.ours is None and self._now() - heard.over > SAME
            if alone or (heard.ours is not None and heard.ours not in self._core.conversation):
                heard.dropped = True
                other.delete(heard.id)

    def text(self, effect: fx.SendText) -> None:
        """The one at work is sent a text: so is the other, unless it knows of it."""
        other, core = self._hearing, self._core
        if other is None:
            return
        if effect.role == "user":
            item = core.conversation.get(core.turn_id)
        else:
            item = core.conversation[-1] if len(core.conversation) else None
        knows = item is None or item.id in other.leg.told
        if item is None or knows or item.role != effect.role or item.id in other.aliases.values():
            return
        other.leg.told.add(item.id)
        self._tell(other)
        can = other.leg.provider.capabilities
        if effect.role == "user":
            other.call_off()
            self._ask(other)
        elif not (effect.role == "system" and can.system_messages):
            call = partial(other.leg.provider.add_conversation_history, [item])
            self._tell_it(other, call)
            return
        role = () if effect.role == "user" else (effect.role,)
        self._tell_it(other, partial(other.leg.provider.send_text, effect.text, *role))

    def note(self, effect: fx.GiveNote) -> None:
        """The one at work is given a note; where it is a message of its own, the other is given it at once as well."""
        other = self._hearing
        if other is None or effect.means != "system" or effect.item_id is None:
            return  # what is in the log is told with the rest of it
        provider = other.leg.provider
        if provider.capabilities.system_messages:
            other.leg.told.add(effect.item_id)
            self._tell_it(other, partial(provider.send_text, effect.text, "system"))

    def asked(self, command: fx.Command) -> None:
        """The application has asked for something, and the one at work was told."""
        other, core = self._hearing, self._core
        if other is None:
            return
        if isinstance(command, (fx.Interrupt, fx.Say)):
            other.call_off()
        elif isinstance(command, fx.CreateResponse):
            due = core.replies.current
            if due is None or due.state is not ReplyState.DUE or command.overrides:
                return
            if due.asked is command:
                self._ask(other)
                modalities = list(command.modalities) if command.modalities else None
                provider = other.leg.provider
                other.do(
                    partial(provider.create_response, modalities, instructions=command.instructions)
                )

    def _ask(self, other: Contender) -> None:
        due = self._core.replies.current
        for one in (other, self._work):
            if one is not None and due is not None:
                one.ask(self._now(), due)

    def commit(self) -> None:
        """The application ends the user's turn."""
        if self._hearing is not None:
            self._hearing.do(self._hearing.leg.commit_audio)

    def clear(self) -> None:
        """The application throws away what is not a turn yet."""
        if self._hearing is not None:
            self._hearing.do(self._hearing.leg.clear_audio)

    @property
    def _hearing(self) -> Contender | None:
        other = self._other
        return other if other is not None and other.place is not None else None

    def _tell_it(self, other: Contender, call: Callable[[], Awaitable[Any]]) -> None:
        """Make a call that it has to be told by. If that fails, it is given up, and another is opened."""

        def failed(_: Exception) -> None:
            if other is self._other:
                other.leg.gone.set()

        other.do(call, failed)
