"""Cutting the assistant short, and keeping only what was heard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxengine import events as ev
from voxengine.conversation import Item
from voxengine.session import effects as fx
from voxengine.session.replies import Reply, ReplyState
from voxengine.session.rules import assistant, tools, turns

if TYPE_CHECKING:
    from voxengine.session.core import SessionCore

#: Items that were cut before they were heard, of which the listener may yet say that they were.
MOST_CUT_OUT = 16
#: Two places no further apart than this are the same cut. Milliseconds.
SAME_CUT_MS = 250.0


def cut(
    core: SessionCore,
    reason: str,
    *,
    tell_provider: bool = True,
    cancelled: ev.ResponseCancelled | None = None,
) -> bool:
    """Stop what is due, under way or playing. True if none of it was heard, and the user's turn goes on.

    `reason` is "speech" or "request"; `cancelled` is the provider's own word that it has stopped.
    """
    reply = core.replies.open
    if reason == "request":
        tools.call_off_all(core, reason, tell_provider)
    heard, cut_short = _stop(core)
    if reply is None and not cut_short:
        return False
    continued = reason == "speech" and not _perceived(core, reply, heard)
    if reason == "speech" and not continued:
        turns.settle(core)
    if reply is not None:
        _call_off(core, reply, reason, tell_provider, cancelled)
    for item in cut_short:
        _cut_item(core, item, heard[item.id], "continued" if continued else reason, tell_provider)
    for item_id in reply.items if reply is not None else ():
        _close_rest(core, item_id)
    core.sounding.clear()
    core.speaking = None
    core.clear_timer("stall", "response", "playout")
    return continued


def stop_playing(core: SessionCore) -> None:
    """What plays is cut, and nothing else."""
    heard, cut_short = _stop(core)
    for item in cut_short:
        _cut_item(core, item, heard[item.id], "request", tell_provider=True)
    core.sounding.clear()
    core.speaking = None
    core.clear_timer("playout")


def _stop(core: SessionCore) -> tuple[dict[str, float], list[Item]]:
    """Nothing plays any more: what was heard of items that were playing, and those of them that were cut."""
    heard = {item_id: heard_ms for item_id, _, heard_ms in core.playout.stop(core.now)}
    cut_short = []
    for item in list(core.sounding.values()):
        if heard.get(item.id, item.audio_ms) >= item.audio_ms:
            assistant.heard(core, item)
        else:
            cut_short.append(item)
    return heard, cut_short


def _perceived(core: SessionCore, reply: Reply | None, heard: dict[str, float]) -> bool:
    """Whether anything of the answer to the user's last turn has reached the listener."""
    if any(heard_ms > 0 for heard_ms in heard.values()):
        return True
    turn = reply.turn_id if reply is not None else core.turn_id
    if turn is None or turn != core.turn_id:
        return True  # what is cut is not the answer to what the user said last
    answers = (
        i
        for i in core.conversation
        if i.turn_id == turn and i.role == "assistant" and i.kind == "message"
    )
    return any(item.heard_ms > 0 or (core.answers_in_text and item.text) for item in answers)


def _call_off(
    core: SessionCore,
    reply: Reply,
    reason: str,
    tell_provider: bool,
    cancelled: ev.ResponseCancelled | None,
) -> None:
    begun, due = reply.state is ReplyState.ACTIVE, reply.state is ReplyState.DUE
    tools.call_off(core, reply, reason, tell_provider)
    core.replies.void(reply)
    by_itself = cancelled is not None or (
        reason == "speech" and core.capabilities.self_interrupting and not core.own_ear
    )
    told = tell_provider and core.connected and not by_itself
    if due and reply.ours and told:
        _take_back(core)
    if not begun:
        return
    why = (
        cancelled.reason
        if cancelled
        else "turn_detected"
        if reason == "speech"
        else "client_cancelled"
    )
    core.emit(ev.ResponseCancelled, response_id=reply.id, reason=why)
    if told:
        core.call_off(reply.id)


def _take_back(core: SessionCore) -> None:
    """What we have asked for, and what has not begun, is not wanted any more."""
    core.call_off()
    if not (core.capabilities.cancel and core.capabilities.cancel_requested):
        core.replies.to_stop += 1


def _cut_item(
    core: SessionCore, item: Item, heard_ms: float, reason: str, tell_provider: bool
) -> None:
    item.cut(heard_ms)
    where = {"item_id": item.id, "response_id": item.response_id, "heard_ms": item.heard_ms}
    core.emit(ev.AudioOutputStopped, interrupted=True, **where)
    if item.id not in core.conversation:
        return  # the application has taken it out meanwhile
    core.emit(ev.ConversationInterrupted, heard_text=item.text, reason=reason, **where)
    if item.heard_ms > 0:
        core.conversation.changed(item)
    else:
        _take_out(core, item)
    known_there = core.connected and item.id in core.own_items
    if tell_provider and known_there and core.capabilities.truncate:
        shorten(core, item)


def corrected(core: SessionCore, event: ev.ConversationInterrupted) -> None:
    """The provider itself says which words were heard of an item that was cut: that is better than our estimate.

    It comes after the cut, which was told already, so that it is a change of the log and no second cut. What the
    listener has said meanwhile of another place is better still.
    """
    item = core.conversation.get(core.our_id(event.item_id or ""))
    if item is None or item.id not in core.own_items or not item.interrupted:
        return
    if abs(item.heard_ms - event.heard_ms) > SAME_CUT_MS or item.text == event.heard_text:
        return
    words = item.text + item.unheard_text
    item.text = event.heard_text
    item.unheard_text = words.removeprefix(event.heard_text) if event.heard_text else words
    if item.unheard_text == words and event.heard_text:
        item.unheard_text = ""  # other words than ours: where the rest of them begins is not known
    core.conversation.changed(item)


def _take_out(core: SessionCore, item: Item) -> None:
    """It was not heard, as far as we know; the listener's word may put it back."""
    place = core.conversation.items.index(item)
    before = core.conversation[place - 1].id if place else None
    core.conversation.remove(item.id)
    core.cut_out[item.id] = item, before
    if len(core.cut_out) > MOST_CUT_OUT:
        del core.cut_out[next(iter(core.cut_out))]


def shorten(core: SessionCore, item: Item) -> None:
    """Tell the provider how much of its item was heard."""
    core.cut_there[item.id] = item.heard_ms
    core.out.append(fx.Truncate(core.their_id(item.id), item.heard_ms, item.text))


def _close_rest(core: SessionCore, item_id: str) -> None:
    """An item of a response that was called off, of which no audio was waiting to be heard."""
    item = core.conversation.get(item_id)
    if item is None or item.status != "in_progress":
        return
    if item.audio_ms or core.answers_in_text:
        # All that came of it was perceived; more would have come.
        item.cut(item.audio_ms) if item.audio_ms else setattr(item, "status", "incomplete")
        core.conversation.changed(item)
    else:
        core.conversation.remove(item_id)
