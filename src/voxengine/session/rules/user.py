"""Speech, turns and transcripts of the user become items of the log, each at the place of its turn."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from voxengine import events as ev
from voxengine.conversation import Item
from voxengine.session import effects as fx
from voxengine.session.latency import TurnLatency
from voxengine.session.replies import Reply, ReplyState
from voxengine.session.rules import assistant, cutting, editing, tools, turns, with_fields

if TYPE_CHECKING:
    from voxengine.session.core import SessionCore

#: Seconds within which what was sent may not have been there when the provider decided what it tells now.
ROUND_TRIP = 0.3


def speech_started(core: SessionCore, event: ev.VadSpeechStarted) -> None:
    """The user speaks: whatever the assistant was about to say is cut short."""
    item_id = turns.our_id(core, event.item_id, begins=True)
    core.out.append(with_fields(event, item_id=item_id))
    continued = core.interruptions and cutting.cut(core, "speech")
    if core.interruptions:
        core.clear_timer("response")
    if core.untold and core.auto_response and not core.manual_turns:
        editing.tell_before_speech(core)
    if core.held_results:
        tools.tell_held(core, best_effort=True)
    core.user_speaking = True
    if core.capabilities.self_interrupting:
        core.replies.stop_next = False  # it has stopped by itself what we did not hear of yet
    current = core.conversation.get(core.turn_id)
    known = core.conversation.get(item_id)
    if known is None and item_id is None and current is not None:
        known = current if continued or current.status == "in_progress" else None
    if known is None:
        _forget_if_empty(core, current)
        known = core.add(Item(id=item_id or core.new_id("item"), role="user"))
    known.status = "in_progress"
    core.turn_id = known.id
    turns.keep(core, known, event.audio_ms)
    core.speech_from_ms = event.audio_ms


def speech_ended(core: SessionCore, event: ev.VadSpeechEnded) -> None:
    """The user is silent; the turn may or may not be over."""
    core.user_speaking = False
    item = core.conversation.get(core.turn_id)
    if item is not None and event.audio_ms is not None and core.speech_from_ms is not None:
        item.audio_ms += max(0.0, event.audio_ms - core.speech_from_ms)
    core.speech_from_ms = None
    core.latency = TurnLatency(end_of_speech=core.now - event.lag_ms / 1000)
    core.out.append(with_fields(event, item_id=turns.our_id(core, event.item_id)))


def turn_detected(core: SessionCore, event: ev.TurnDetected) -> None:
    """The turn is over: an answer is due, from the provider by itself or at our request."""
    core.user_speaking = False
    item = user_item(core, event.item_id)
    core.turn_id = item.id
    turns.over(core, item, event.audio_ms)
    end_turn(core)
    core.latency.mark("turn_decided", core.now)
    if item.id not in core.detected:  # another connection hears a turn again that was told of
        core.detected.add(item.id)
        core.out.append(with_fields(event, item_id=item.id))
        if (
            core.options.transcripts
            and core.capabilities.input_transcription
            and item.id not in core.transcribed
        ):
            core.unwritten.add(item.id)
    by_hand = core.by_hand > 0
    core.by_hand -= by_hand
    if core.manual_turns or by_hand or not core.auto_response or not core.capabilities.answers:
        due = core.replies.in_flight
        if due is not None and due.state is ReplyState.DUE:
            due.turn_id = item.id  # it was asked for right after this turn was committed
        elif not core.auto_response and core.replies.open is None:
            assistant.ask_pending(core)
        return
    _answer_due(core, item)


def _answer_due(core: SessionCore, item: Item) -> None:
    """The turn is answered: by the provider as it is, at our request, or after the response that is under way."""
    if core.replies.open is None and core.replies.pending == fx.CreateResponse():
        core.replies.pending = None  # the answer to this turn is as good
    if core.capabilities.auto_response:
        due = core.replies.in_flight
        if due is None:
            core.expect(ours=False)
        elif _decided_before(core, due) and due.turn_id != item.id:
            core.replies.next_turn, due.turn_id = due.turn_id, item.id
        elif not core.interruptions and due.turn_id != item.id:
            # While it answers the turn before, it does not begin another answer by itself.
            core.replies.pending = core.replies.pending or fx.CreateResponse()
    elif core.replies.open is None:
        core.request(fx.CreateResponse())
    else:
        core.replies.pending = fx.CreateResponse()


def _decided_before(core: SessionCore, due: Reply) -> bool:
    """Whether the provider had decided on its own answer before the text was there that this is to answer."""
    written = due.state is ReplyState.DUE and due.ours and due.asked is None
    return written and core.now - due.due_at < ROUND_TRIP


def transcript_partial(core: SessionCore, event: ev.TranscriptPartial) -> None:
    """What has been said so far."""
    if editing.is_deleted(core, event.item_id):
        return
    item = user_item(core, event.item_id)
    if len(event.text) < len(item.text) and item.text.startswith(event.text):
        return  # another connection hears again what is known
    if item.status == "in_progress":
        turns.keep(core, item, None)
    item.text = event.text
    core.out.append(with_fields(event, item_id=item.id))


def transcript_completed(core: SessionCore, event: ev.TranscriptCompleted) -> None:
    """What was said; it may come long after the answer, and stands where the turn was. Empty: it was no speech."""
    core.latency.mark("transcript", core.now)
    if editing.is_deleted(core, event.item_id):
        return
    item = user_item(core, event.item_id)
    core.out.append(with_fields(event, item_id=item.id))
    item.text = event.text
    if core.user_speaking and item.id == core.turn_id:
        core.conversation.changed(item)
        return
    item.status = "completed"
    core.transcribed.add(item.id)
    core.unwritten.pop(item.id, None)
    if event.text.strip() or _is_answered(core, item):
        core.conversation.changed(item)
    else:
        core.conversation.remove(item.id)
        _expect_no_answer(core, item)


def transcript_failed(core: SessionCore, event: ev.TranscriptFailed) -> None:
    """There was speech, but we shall not know what was said."""
    if editing.is_deleted(core, event.item_id):
        return
    item = user_item(core, event.item_id)
    item.status = "completed"
    core.unwritten.pop(item.id, None)
    core.conversation.changed(item)
    core.out.append(with_fields(event, item_id=item.id))


def give_up_transcripts(core: SessionCore, why: str, but: Collection[str] = ()) -> None:
    """Nobody will write down what was said in turns that no connection hears again, `but` for these."""
    for item_id in [i for i in core.unwritten if i not in core.reopened and i not in but]:
        del core.unwritten[item_id]
        item = core.conversation.get(item_id)
        if item is None:
            continue
        item.status = "completed"
        core.conversation.changed(item)
        core.emit(
            ev.TranscriptFailed,
            item_id=item_id,
            error=f"{why} before the transcript came",
        )


def user_item(core: SessionCore, item_id: str | None) -> Item:
    """The user's item of that id; made at the place of its turn if we did not know of it."""
    item_id = turns.our_id(core, item_id)
    item = core.conversation.get(item_id if item_id is not None else core.turn_id)
    if item is not None:
        return item
    item = Item(id=item_id or core.new_id("item"), role="user")
    reply, before = core.replies.current, None
    if reply is not None and reply.turn_id is None and reply.items:
        # The answer is in the log already, and this is what it answers.
        before, reply.turn_id = reply.items[0], item.id
    core.turn_id = item.id
    return core.add(item, before=before)


def end_turn(core: SessionCore) -> None:
    """Nothing is added to the user's item any more."""
    item = core.conversation.get(core.turn_id)
    if item is not None and item.status == "in_progress":
        item.status = "completed"
        core.conversation.changed(item)


def drop_turn(core: SessionCore) -> None:
    """The user's turn will not be ended: what was understood of it stays, what was not never was a turn."""
    item = core.conversation.get(core.turn_id)
    _forget_if_empty(core, item)
    end_turn(core)


def drop_turns(core: SessionCore) -> None:
    """As `drop_turn`, of all of the user's that are open."""
    for item in core.conversation.items:
        if item.role == "user" and item.status == "in_progress":
            _forget_if_empty(core, item)
            item.status = "completed"
            if item.id in core.conversation:
                core.conversation.changed(item)


def _forget_if_empty(core: SessionCore, item: Item | None) -> None:
    """Speech that never became a turn was none."""
    if item is not None and item.role == "user" and item.status == "in_progress" and not item.text:
        core.conversation.remove(item.id)


def _is_answered(core: SessionCore, item: Item) -> bool:
    return any(other.turn_id == item.id for other in core.conversation)


def _expect_no_answer(core: SessionCore, item: Item) -> None:
    reply = core.replies.in_flight
    if (
        reply is not None
        and reply.state is ReplyState.DUE
        and not reply.ours
        and reply.turn_id == item.id
    ):
        core.replies.withdraw(reply)
        core.clear_timer("response")
