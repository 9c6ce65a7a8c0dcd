"""Responses of the assistant, their text and their audio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import first_audible_ms
from voxengine.conversation import Item
from voxengine.session import effects as fx
from voxengine.session.replies import Reply, ReplyState
from voxengine.session.rules import cutting, tools, trouble, turns, with_fields

if TYPE_CHECKING:
    from voxengine.session.core import SessionCore

#: Seconds within which the loss of the connection follows an error of a response that it is the cause of.
LOSS_FOLLOWS = 1.0
#: Codes of a response that failed, where the provider would fail with the next one too.
REFUSALS = frozenset({"rate_limit", "quota", "auth", "server"})
#: Seconds within which a response begins that had to wait for the end of another.
NO_OTHER = 2.0


def response_started(core: SessionCore, event: ev.ResponseStarted) -> None:
    """A response begins; one that is not wanted any more is called off at once."""
    replies = core.replies
    response_id = event.response_id or core.new_id("resp")
    if response_id in replies.voided or replies.known(response_id):
        return
    replies.unnamed_voided = False
    if replies.to_stop or replies.stop_next or _unwanted(core):
        if replies.to_stop:
            replies.to_stop -= 1
        else:
            replies.stop_next = False
        replies.voided.add(response_id)
        replies.unnamed_voided = event.response_id is None
        if replies.in_flight is None:
            # Otherwise another was asked for since: what was told then was meant for this one, and now would hit that.
            core.call_off(response_id)
        return
    _begin(core, response_id).unnamed = event.response_id is None
    core.out.append(with_fields(event, response_id=response_id))


def text_output(core: SessionCore, event: ev.TextOutput) -> None:
    """Words of the assistant."""
    reply = reply_of(core, event.response_id)
    if reply is None or _of_edited(core, event, reply):
        return
    item = _item_of(core, event.item_id, reply)
    item.add_text(event.text, event.audio_start_ms, event.audio_end_ms)
    core.latency.mark("first_token", core.now)
    core.out.append(with_fields(event, item_id=item.id, response_id=reply.id))
    if reply.implied and not event.is_partial and core.answers_in_text:
        finish(core, reply, "completed")
        core.emit(ev.ResponseCompleted, response_id=reply.id)


def audio_output(core: SessionCore, event: ev.AudioOutputChunk) -> None:
    """The first audio of an item, or audio that does not say which item it belongs to. The rest takes the short way."""
    reply = reply_of(core, event.response_id)
    if reply is None or _of_edited(core, event, reply):
        return
    item = _item_of(core, event.item_id, reply)
    first = not item.audio_ms
    begins_at = max(core.now, core.playout.end_time(core.now))
    core.add_audio(item, event, core.now)
    core.latency.mark("first_audio", core.now)
    if first:
        core.emit(ev.AudioOutputStarted, item_id=item.id, response_id=reply.id)
    if core.speaking is None:
        core.out.append(fx.SetTimer("playout", core.playout.end_time(core.now)))
    core.sounding[item.id] = item
    core.out.append(with_fields(event, item_id=item.id, response_id=reply.id))
    if not core.options.metrics or _measure(core, event, item, reply, begins_at):
        core.speak(item, event)


def _measure(
    core: SessionCore, event: ev.AudioOutputChunk, item: Item, reply: Reply, begins_at: float
) -> bool:
    """Find the first sample that can be heard, once for each turn. True when there is nothing left to look for."""
    latency = core.latency
    if latency.first_audible is not None or latency.turn_decided is None:
        return True
    offset = first_audible_ms(event.audio_data, AudioFormat(event.encoding, event.sample_rate))
    if offset is None:
        return False
    latency.mark("first_audible", begins_at + offset / 1000)
    core.out.append(latency.report(reply.id, item.id, core.now + core.options.epoch, core.provider))
    return True


def timing_stage(core: SessionCore, event: ev.TimingStage) -> None:
    """A provider that works in stages tells of one."""
    if event.stage == "first_token":
        # It may have been reached before it was told: an answer that was begun early is told of when it is wanted.
        at = event.timestamp - core.options.epoch
        core.latency.mark("first_token", at if 0.0 < at < core.now else core.now)
    core.out.append(event)


def response_completed(core: SessionCore, event: ev.ResponseCompleted) -> None:
    """All of the response was sent."""
    due = core.replies.in_flight
    if due is not None and due.in_doubt and event.response_id in core.replies.voided:
        # It was to be stopped and was not: if it was the one that is due, no other will come.
        core.set_timer("response", min(NO_OTHER, core.options.response_timeout))
    reply = _ending(core, event.response_id)
    if reply is not None:
        finish(core, reply, "completed" if event.status == "completed" else "incomplete")
        core.out.append(with_fields(event, response_id=reply.id))
        after(core, reply)


def response_cancelled(core: SessionCore, event: ev.ResponseCancelled) -> None:
    """The provider called it off. If that is because it heard the user, this is a barge-in."""
    reply = _ending(core, event.response_id)
    if reply is None:
        return
    if event.reason == "turn_detected":
        cutting.cut(core, "speech", cancelled=event)
        return
    finish(core, reply, "incomplete")
    core.out.append(with_fields(event, response_id=reply.id))
    meant = not reply.in_doubt or reply.asked_again or core.user_speaking
    if not (meant or reply.items or reply.open_calls):
        # It was another that was to be stopped.
        core.request(fx.CreateResponse(turn_id=reply.turn_id))
        if core.replies.current is not None:
            core.replies.current.asked_again = True
        return
    after(core, reply)


def response_error(core: SessionCore, event: ev.ResponseError) -> None:
    """The response failed; the conversation goes on."""
    reply = _ending(core, event.response_id)
    if reply is not None:
        finish(core, reply, "incomplete")
        reply.failed = True
        core.out.append(with_fields(event, response_id=reply.id))
        if event.code in REFUSALS and not reply.open_calls:
            words = event.error or f"the response failed: {event.code}"
            if trouble.fail_over(core, event.code, words):
                turns.unsettle(core)
                owed = core.replies.expect(reply.turn_id, reply.ours, reply.asked)
                owed.awaits_continuation, owed.refused = reply.had_calls, True
                return
        after(core, reply)


# -- for the other rules


def reply_of(core: SessionCore, response_id: str | None) -> Reply | None:
    """The reply that output belongs to; None if it does not count any more. Output may come unannounced."""
    replies = core.replies
    if replies.unnamed_voided if response_id is None else response_id in replies.voided:
        return None
    reply = _latest(core) if response_id is None else replies.get(response_id)
    if reply is not None:
        if response_id is None and not reply.implied:
            reply.unnamed = True
        if reply.awaits_continuation:
            reply.awaits_continuation = False
            core.clear_timer("response")
        return reply
    if replies.stop_next or (replies.to_stop and replies.in_flight is None) or _unwanted(core):
        return None
    replies.to_stop = 0  # of one that announces nothing, it cannot be told apart
    reply = _begin(core, response_id or core.new_id("resp"))
    reply.implied = True
    core.emit(ev.ResponseStarted, response_id=reply.id)
    return reply


def finish(core: SessionCore, reply: Reply, status: Literal["completed", "incomplete"]) -> None:
    """No more of this reply will come; what was received may still be playing."""
    core.replies.end(reply)
    reply.ended_at = core.now
    core.clear_timer("stall", "response")
    for item_id in reply.items:
        item = core.conversation.get(item_id)
        if item is not None and item.status == "in_progress":
            item.status = status
            if status == "incomplete" and item.audio_ms:
                item.leave_off()
            core.conversation.changed(item)
    settle(core)
    if core.sounding:
        core.out.append(fx.SetTimer("playout", core.playout.end_time(core.now)))


def after(core: SessionCore, reply: Reply) -> None:
    """A response has ended: ask for the next, if there is something left to answer."""
    if reply.open_calls:
        return
    if reply.had_calls and not core.capabilities.continues_after_tool:
        tools.go_on(core, reply)
    elif reply.awaits_continuation:
        tools.await_going_on(core, reply)
    else:
        turns.settle(core, LOSS_FOLLOWS if reply.failed else 0.0)
        ask_pending(core)


def ask_pending(core: SessionCore) -> None:
    """Ask for what was asked for while another response was under way."""
    if core.replies.pending is not None and not core.user_speaking and core.connected:
        command, core.replies.pending = core.replies.pending, None
        core.request(command)


def settle(core: SessionCore) -> None:
    """Items whose audio has come and been played to the end were heard."""
    active = core.replies.active
    growing = active.items[-1] if active is not None and active.items else None
    for item in list(core.sounding.values()):
        if item.id == growing or core.playout.heard_ms(item.id, core.now) < item.audio_ms - 0.5:
            continue
        heard(core, item)


def heard(core: SessionCore, item: Item) -> None:
    """All of the item's audio was played."""
    core.sounding.pop(item.id, None)
    if core.speaking is item:
        core.speaking = None
    item.heard_ms = item.audio_ms
    if item.id in core.conversation:  # else the application has taken it out meanwhile
        core.conversation.changed(item)
    core.emit(
        ev.AudioOutputStopped, item_id=item.id, response_id=item.response_id, heard_ms=item.heard_ms
    )


def _unwanted(core: SessionCore) -> bool:
    """Whether a response that nobody asked for begins while the user speaks."""
    due = core.replies.in_flight
    asked_for = due is not None and due.state is ReplyState.DUE and due.ours
    return core.user_speaking and core.interruptions and not asked_for


def _latest(core: SessionCore) -> Reply | None:
    """What output without an id belongs to: the response under way, or one that was announced and has just ended."""
    reply = core.replies.current
    ended = reply is not None and reply.state is ReplyState.DONE and not reply.implied
    return reply if ended else core.replies.active


def _begin(core: SessionCore, response_id: str) -> Reply:
    earlier = core.replies.active
    if earlier is not None:
        # The provider never ended it; a response ends when the next begins.
        finish(core, earlier, "completed")
        core.emit(ev.ResponseCompleted, response_id=earlier.id)
    reply = core.replies.begin(response_id, core.turn_id)
    core.clear_timer("response")
    core.set_timer("stall", core.options.stall_timeout)
    return reply


def _item_of(core: SessionCore, item_id: str | None, reply: Reply) -> Item:
    """The assistant's item that output belongs to; without an id, the reply's latest."""
    if item_id is not None:
        item_id = core.our_id(item_id)
    item = core.conversation.get(item_id or (reply.items[-1] if reply.items else None))
    if item is None:
        item = Item(
            id=item_id or core.new_id("item"),
            role="assistant",
            response_id=reply.id,
            turn_id=reply.turn_id,
        )
        reply.items.append(core.add(item).id)
        core.own_items.add(item.id)
    return item


def _of_edited(core: SessionCore, event: ev.TextOutput | ev.AudioOutputChunk, reply: Reply) -> bool:
    """Hand on what comes of an item that the application has taken out or shortened: the log stays as it is."""
    item_id = event.item_id or (reply.items[-1] if reply.items else "")
    item_id = core.our_id(item_id)
    if item_id not in core.edited:
        return False
    core.out.append(with_fields(event, item_id=item_id, response_id=reply.id))
    return True


def _ending(core: SessionCore, response_id: str | None) -> Reply | None:
    """The reply that an end belongs to; None if it has ended already or was called off."""
    replies = core.replies
    if response_id is None:
        if replies.unnamed_voided:
            replies.unnamed_voided = False
            return None
        if replies.to_stop and replies.active is None:
            replies.to_stop -= 1
            return None
        return replies.in_flight  # it may have failed before it began
    if response_id in replies.voided:
        return None
    if replies.to_stop and not replies.known(response_id):
        replies.to_stop -= 1
        replies.voided.add(response_id)
        return None
    due = replies.in_flight
    if due is not None and due.state is ReplyState.DUE and not replies.known(response_id):
        return replies.begin(response_id, core.turn_id)  # so did this one
    reply = replies.get(response_id)
    return reply if reply is not None and reply.state is ReplyState.ACTIVE else None
