"""Notes of the application: when the moment of each has come, and that each goes in, once, or is told why not.

`look` comes after every other rule, and reads the moments from what those have done: an effect that brings about a
response is a moment before a response, a state that was left is the end of one. Notes for that moment are put in front
of the effect. A response that a note wants is asked for only when none is due or under way and nobody speaks.

A note that was handed to the provider counts when that has taken it. Until then its item in the log is in progress, so
that nobody is told of it; if the connection goes, the note waits again, for the next one.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, cast

from voxengine import events as ev
from voxengine.conversation import Item, Role
from voxengine.conversation.injection import (
    InjectionResult,
    InjectionStatus,
    Left,
    Note,
    Queued,
)
from voxengine.session import effects as fx
from voxengine.session.means import Means, means_of, responds
from voxengine.session.notes import Given
from voxengine.session.replies import ReplyState

if TYPE_CHECKING:
    from voxengine.events import ProviderEvent
    from voxengine.session.core import SessionCore

#: Seconds within which the end of a turn follows the end of speech, if it was a turn.
TURN_FOLLOWS = 3.0
#: Timers may be early by so much.
_ROUNDING = 0.0005
#: Before the user's next turn, where after it would be too late.
BEFORE_TURN = "before_turn"


# -- what the application does


def inject(core: SessionCore, command: fx.Inject) -> None:
    """Another note."""
    for left in core.notes.queue.add(command.note, core.now):
        _leave(core, left)


def cancel(core: SessionCore, command: fx.CancelInjection) -> None:
    """It is not wanted any more. Of one that was handed over that comes too late."""
    queued = core.notes.queue.take(command.injection_id)
    if queued is not None:
        _settle(core, queued.note, "cancelled", reason="by the application")


def end(core: SessionCore) -> None:
    """The conversation is over."""
    for given in core.notes.given.values():
        core.conversation.remove(given.item_id or "")
    left = [g.queued.note for g in core.notes.given.values()]
    left += [queued.note for queued in core.notes.queue]
    core.notes.given.clear()
    for note in left:
        core.notes.queue.take(note.id)
        _settle(core, note, "cancelled", reason="the conversation is over")
    core.clear_timer("injections")


# -- what becomes of those that were handed to the provider


def taken(core: SessionCore, report: fx.NoteTaken) -> None:
    """The provider has it."""
    notes = core.notes
    given = notes.given.pop(report.injection_id, None)
    if given is None:
        return
    note, means = given.queued.note, given.means
    _complete(core, given.item_id)
    if means.name != "say":
        notes.remember(note)
        if note.speak and responds(core.capabilities) and not given.answered:
            _owe(core, given)
    _put_in(core, given.queued, means, given.item_id)


def refused(core: SessionCore, report: fx.NoteRefused) -> None:
    """The provider does not take it."""
    given = core.notes.given.pop(report.injection_id, None)
    if given is None:
        return
    _withdraw(core, given)
    reply = core.replies.in_flight
    said = given.means.name == "say" and reply is given.reply
    if said and reply is not None and reply.state is ReplyState.DUE:
        core.replies.withdraw(reply)
        core.clear_timer("response")
    _settle(core, given.queued.note, "rejected", reason=report.reason)


def _owe(core: SessionCore, given: Given) -> None:
    due = core.replies.in_flight
    if due is None or due is given.reply:  # one that was asked for since has it
        core.notes.owed, core.notes.owed_after = True, core.replies.current


def _complete(core: SessionCore, item_id: str | None) -> None:
    item = core.conversation.get(item_id)
    if item is not None:
        item.status = "completed"
        core.conversation.changed(item)


def _withdraw(core: SessionCore, given: Given) -> None:
    core.notes.instructions.pop(given.queued.note.id, None)
    if given.item_id is not None:
        core.conversation.remove(given.item_id)


# -- the moments


def look(core: SessionCore, event: ProviderEvent | fx.Command) -> None:
    """After each event: see which notes can go in, and who waits for a response."""
    notes = core.notes
    if event == fx.TimerFired("injections"):
        notes.timer_at = None
    elif isinstance(event, ev.ResponseCompleted):
        notes.fresh.clear()
    elif isinstance(event, fx.Interrupt):
        notes.owed = False
    if notes.owed:
        _ask(core)
    tail = _hold_back(core)
    if notes.leg != core.calls.leg:
        notes.leg = core.calls.leg
        _take_back(core)
        _tell_again(core, resumed=isinstance(event, fx.Reattached) and event.resumed)
    elif not core.connected:
        _take_back(core)
    for note in notes.queue.expire(core.now + _ROUNDING):
        _settle(core, note, "expired", reason=f"its ttl of {note.ttl:g} s is over")
    moments = _moments(core, event, bool(tail))
    if core.connected:
        for queued in notes.queue:
            if _has_come(core, queued, moments):
                _go_in(core, queued, tail)
        _ride(core, tail)
    core.out += tail
    _set_timer(core)


def _hold_back(core: SessionCore) -> list[fx.Effect]:
    """Take away the effects from the first one on that brings about a response, so that others can go before it."""
    for place, effect in enumerate(core.out):
        if (
            isinstance(effect, fx.RequestResponse)
            or (isinstance(effect, fx.SendText) and effect.role == "user")
            or (
                isinstance(effect, fx.SendToolResult)
                and core.capabilities.continues_after_tool
                and not effect.best_effort
            )
        ):
            tail = core.out[place:]
            del core.out[place:]
            return tail
    return []


def _moments(
    core: SessionCore, event: ProviderEvent | fx.Command, requested: bool
) -> dict[str, Hashable]:
    """The moments that this is, each with a value of its own; of one that lasts, the same value as long as it does.

    A provider that answers by itself does so right after the turn, when it is too late for a note. There the moment is
    the user's speech, before it is over; and where that is not told of, any time at which no answer is due.
    """
    notes, once = core.notes, object()
    moments: dict[str, Hashable] = {"now": once}
    talking = core.state == "speaking"
    notes.responded = notes.responded or talking or core.replies.active is not None
    if notes.responded and not talking and not core.answering:
        notes.responded = False
        moments["after_response"] = once
    by_itself = core.capabilities.auto_response and not core.manual_turns
    if by_itself and core.capabilities.vad_events and core.user_speaking:
        moments["before_response"] = moments[BEFORE_TURN] = ("turn", core.turn_id)
    elif by_itself and not core.capabilities.vad_events and not core.answering:
        moments["before_response"] = moments[BEFORE_TURN] = ("silence", core.state_since)
    if requested:
        moments["before_response"] = once
    written = requested and isinstance(event, fx.Text)
    detected = isinstance(event, ev.TurnDetected) and not by_itself
    if written or detected or (requested and core.manual_turns):
        moments["next_turn"] = once
    return moments


def _has_come(core: SessionCore, queued: Queued, moments: dict[str, Hashable]) -> bool:
    """Whether the moment of a note is there, or was, and its condition holds."""
    if queued.due:
        return True
    note = queued.note
    moment = moments.get(note.when)
    early = note.when == "next_turn" and moment is None
    if early:
        moment = moments.get(BEFORE_TURN)
    elif note.when == "on_silence" and core.quiet and core.now >= _silent_at(core, note):
        moment = ("silence", core.state_since)
    if moment is None or moment == queued.refused_at or not _allowed(core, queued, moment):
        return False
    queued.due, queued.early = True, early
    return True


def _silent_at(core: SessionCore, note: Note) -> float:
    return core.state_since + note.silence_s - _ROUNDING


def _allowed(core: SessionCore, queued: Queued, moment: Hashable) -> bool:
    """Ask the condition."""
    note, notes = queued.note, core.notes
    if note.condition is None:
        return True
    notes.judging = True
    try:
        holds = bool(note.condition(core.conversation))
    except Exception as failure:
        notes.queue.take(note.id)
        words = f"its condition raised {type(failure).__name__}: {failure}"
        _settle(core, note, "rejected", reason=words)
        return False
    finally:
        notes.judging = False
    if not holds:
        queued.refused_at = moment
    return holds


# -- putting them in


def _go_in(core: SessionCore, queued: Queued, tail: list[fx.Effect]) -> None:
    """The moment of a note has come: hand it over, or let it wait for a way."""
    note, notes = queued.note, core.notes
    means = means_of(note, core.capabilities)
    if means is None:
        notes.queue.take(note.id)
        words = f"no_means: provider {core.provider!r} has no way to be told"
        _settle(core, note, "rejected", reason=words)
    elif means.name == "prefix":
        if tail and isinstance(tail[0], fx.SendText):
            notes.queue.take(note.id)
            notes.prefix.append(means.text)
            item = _add(core, note, tail)
            _complete(core, item.id)
            notes.remember(note)
            _put_in(core, queued, means, item.id)
    elif means.name == "say":
        if _is_free(core):
            notes.queue.take(note.id)
            reply = core.expect(ours=True, asked=fx.Say(note.text))
            notes.given[note.id] = Given(queued, means, None, reply, answered=True)
            core.out.append(fx.GiveNote(note.id, means.name, means.role, means.text))
    elif means.name == "instructions" and len(notes.instructions) >= notes.MEMORY:
        notes.queue.take(note.id)
        words = f"instructions_full: the instructions hold {notes.MEMORY} notes already"
        _settle(core, note, "rejected", reason=words)
    else:
        notes.queue.take(note.id)
        item = _add(core, note, tail)
        given = Given(queued, means, item.id, core.replies.current, answered=bool(tail))
        notes.given[note.id] = given
        _give(core, note.id, means, item.id)


def _give(core: SessionCore, note_id: str, means: Means, item_id: str | None) -> None:
    instructions: tuple[str, ...] = ()
    if means.name == "instructions":
        core.notes.instructions[note_id] = means.text
        instructions = tuple(core.notes.instructions.values())
    core.out.append(fx.GiveNote(note_id, means.name, means.role, means.text, item_id, instructions))


def _add(core: SessionCore, note: Note, tail: list[fx.Effect]) -> Item:
    """Put it into the log: before a text of the user that it goes in front of."""
    before = core.turn_id if tail and isinstance(tail[0], fx.SendText) else None
    item = Item(id=core.new_id("item"), role=cast("Role", note.role), text=note.text)
    return core.add(item, before=before)


def _ride(core: SessionCore, tail: list[fx.Effect]) -> None:
    """What has no other way goes in with the user's text."""
    first = tail[0] if tail else None
    if core.notes.prefix and isinstance(first, fx.SendText):
        tail[0] = fx.SendText("\n\n".join((*core.notes.prefix, first.text)), first.role)
        core.notes.prefix.clear()


def _put_in(core: SessionCore, queued: Queued, means: Means, item_id: str | None) -> None:
    """It went in: say so, and what of the wish was not met."""
    words = [means.degraded_to, BEFORE_TURN if queued.early else None]
    degraded_to = ", ".join(word for word in words if word) or None
    if degraded_to is None:
        _settle(core, queued.note, "applied", item_id=item_id)
        return
    reason = f"provider {core.provider!r} has no better way for a note of role {queued.note.role!r}"
    if means.degraded_to is None:
        reason = f"provider {core.provider!r} answers a turn at once"
    _settle(core, queued.note, "degraded", degraded_to, reason, item_id)


# -- responses that are wanted


def _is_free(core: SessionCore) -> bool:
    """Nothing is said by anybody, and nothing is about to be."""
    replies = core.replies
    return (
        core.connected
        and not core.user_speaking
        and replies.open is None
        and replies.pending is None
        and core.now >= _turn_until(core) - _ROUNDING
    )


def _turn_until(core: SessionCore) -> float:
    """Until when the end of the user's turn is to be expected; the past if there is none."""
    item = core.conversation.get(core.turn_id)
    if item is None or item.role != "user" or item.status != "in_progress":
        return core.now
    return core.state_since + TURN_FOLLOWS


def _ask(core: SessionCore) -> None:
    """A response is owed: ask for it, unless one was asked for since or has begun."""
    notes, current = core.notes, core.replies.current
    if (current is not None and current is not notes.owed_after) or not responds(core.capabilities):
        notes.owed = False
    elif _is_free(core):
        notes.owed = False
        core.request(fx.CreateResponse())


# -- other connections


def _take_back(core: SessionCore) -> None:
    """The connection is gone, and with it perhaps what it was told: it waits for the next."""
    given, core.notes.given = core.notes.given, {}
    for one in given.values():
        _withdraw(core, one)
        due = one.means.name == "say" and one.reply is core.replies.current
        if due and one.reply is not None:  # that is asked for again in any case
            _put_in(core, one.queued, one.means, None)
            continue
        for left in core.notes.queue.put_back(one.queued):
            _leave(core, left)


def _tell_again(core: SessionCore, resumed: bool) -> None:
    """Another connection is there. What the log does not tell it, it is told anew.

    One that was resumed knows what came before its last complete answer; one that takes no history knows nothing.
    """
    notes, can = core.notes, core.capabilities
    again: list[Note] = []
    if resumed:
        again = [note for note in notes.applied.values() if note.id in notes.fresh]
    else:
        notes.instructions.clear()
        if can.history == "none":
            again = list(notes.applied.values())
    for note in again:
        means = means_of(note, can)
        if means is None or means.name == "say":
            continue
        if means.name == "prefix":
            notes.prefix.append(means.text)
        elif means.name == "instructions":
            notes.instructions[note.id] = means.text
        else:
            _give(core, "", means, core.new_id("item"))
    if notes.instructions:
        texts = tuple(notes.instructions.values())
        core.out.append(fx.GiveNote("", "instructions", "system", "", None, texts))


# -- telling


def _leave(core: SessionCore, left: Left) -> None:
    note, status, reason = left
    _settle(core, note, status, reason=reason)


def _settle(
    core: SessionCore,
    note: Note,
    status: InjectionStatus,
    degraded_to: str | None = None,
    reason: str = "",
    item_id: str | None = None,
) -> None:
    """Tell what became of it."""
    result = InjectionResult(
        injection_id=note.id,
        status=status,
        degraded_to=degraded_to,
        reason=reason,
        item_id=item_id,
    )
    core.out.append(fx.NoteSettled(result))
    core.emit(
        ev.ContextInjected,
        injection_id=note.id,
        status=status,
        role=note.role,
        when=note.when,
        text=note.text,
        key=note.key,
        degraded_to=degraded_to,
        reason=reason,
        item_id=item_id,
    )


def _set_timer(core: SessionCore) -> None:
    """Look again when the next note expires, when it has been silent for long enough, or a turn does not end."""
    notes = core.notes
    times = [notes.queue.next_expiry]
    if core.connected and core.quiet:
        silence = ("silence", core.state_since)
        times += [
            core.state_since + queued.note.silence_s
            for queued in notes.queue
            if queued.note.when == "on_silence" and not queued.due and queued.refused_at != silence
        ]
    if core.connected and (notes.owed or any(queued.due for queued in notes.queue)):
        until = _turn_until(core)
        times.append(until if until > core.now else None)
    at = min((time for time in times if time is not None), default=None)
    if at == notes.timer_at:
        return
    notes.timer_at = at
    if at is None:
        core.clear_timer("injections")
    else:
        core.out.append(fx.SetTimer("injections", at))
