"""A connection is lost, and another goes on with the conversation: what was left open is kept, and taken up again.

During the outage the answer that is owed is a reply that is due, without a timer: the runner has a budget. What had
come goes on playing, tools go on running, and `interrupt` calls all of it off as ever. The next connection is told the
log; the turns of which only the audio is known are not in that, but heard by it once more. One that still knows the
conversation knows it up to its last complete answer, so that what came after is put to it anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxengine import events as ev
from voxengine.session import effects as fx
from voxengine.session.replies import Reply, ReplyState
from voxengine.session.rules import assistant, cutting, tools, turns, user

if TYPE_CHECKING:
    from voxengine.session.core import SessionCore

LOST = "the connection was lost"


def begin(core: SessionCore, why: str = LOST) -> None:
    """The connection is lost, and will be restored; or another one is about to take its place."""
    core.connected, core.recovering = False, True
    core.replies.stop_next = False
    core.replies.to_stop = 0
    core.clear_timer("response", "stall", "rotation", "overdue")
    reply = core.replies.current
    if reply is None:
        return
    if reply.state is ReplyState.ACTIVE:
        if reply.implied and reply.items and not reply.open_calls:
            # It was never announced, so that nobody knows whether more would have come.
            assistant.finish(core, reply, "completed")
            core.emit(ev.ResponseCompleted, response_id=reply.id)
            turns.settle(core)
            return
        break_off(core, reply, why)
    follows = core.now - reply.ended_at <= assistant.LOSS_FOLLOWS
    if reply.state is ReplyState.DONE and reply.failed and follows and not reply.open_calls:
        owe(core, reply)


def owe(core: SessionCore, reply: Reply) -> None:
    """The rest of an answer, or what follows the tools that it called, is asked for when there is a connection."""
    turns.unsettle(core)
    core.replies.expect(
        reply.turn_id, reply.ours, reply.asked
    ).awaits_continuation = reply.had_calls


def hand_over(core: SessionCore, command: fx.HandOver) -> None:
    """Another provider takes over from one that is still there. What was received and is complete goes on playing.

    An answer that nobody has heard a word of is owed by the other, as is one whose tools are running. One that is
    being heard ends here, unless the provider has `failed`: then the other is to say the rest.
    """
    core.clear_timer("response", "stall", "rotation", "overdue")
    core.connected, core.recovering = False, True
    reply = core.replies.open
    if reply is None or command.failed or reply.open_calls or reply.had_calls:
        begin(core, "another provider took over")
        return
    items = [i for i in map(core.conversation.get, reply.items) if i is not None]
    if reply.state is ReplyState.ACTIVE and any(i.audio_ms or i.text for i in items):
        cutting.cut(core, "request", tell_provider=False)
        if any(i.text for i in items):
            turns.settle(core)
        else:
            owe(core, reply)
    elif reply.state is ReplyState.ACTIVE:
        break_off(core, reply, "", cancelled="switched")
        owe(core, reply)


def reattached(core: SessionCore, command: fx.Reattached) -> None:
    """Another connection is there."""
    outage = command.outage
    core.replies = core.replies.carry()
    if command.manual_turns is not None:
        core.manual_turns = command.manual_turns
    core.begin_leg(command)
    if outage or command.switched is None:
        core.emit(
            ev.ConnectionRestored,
            reason=command.reason,
            attempts=command.attempts,
            outage_ms=command.outage_ms,
            resumed=command.resumed,
            items=command.items,
            audio_ms=command.audio_ms,
            audio_lost_ms=command.audio_lost_ms,
        )
    if command.switched is not None:
        core.out.append(command.switched)
    if command.audio_ms:
        turns.reopen(core)
    else:
        turns.drop(core)
    user.give_up_transcripts(core, LOST if outage else "another connection took over")
    commit = core.manual_turns and bool(core.reopened) and core.reopened[0] in core.detected
    reply = core.replies.open
    if reply is not None and reply.turn_id in core.reopened:
        core.out.append(fx.Replay(commit))
        _hear_again(core, reply)
        return
    if reply is not None and (reply.state is ReplyState.DUE or command.resumed):
        untold = command.resumed or core.capabilities.history == "none"
        by_itself = core.capabilities.auto_response and not core.manual_turns
        if by_itself and core.reopened and reply.turn_id and not reply.awaits_continuation:
            # What is heard again was said before or after it: each is answered, one after the other.
            _let_go(core, reply)
            core.replies.pending = fx.CreateResponse(turn_id=reply.turn_id, overtaken=True)
            core.expect(ours=False)
        else:
            ask_again(core, reply, untold=untold)
    elif reply is None:
        assistant.ask_pending(core)
    if command.audio_ms:
        core.out.append(fx.Replay(commit))


def gave_up(core: SessionCore, command: fx.GaveUp) -> None:
    """There will be none."""
    unplug(core, LOST)
    user.drop_turns(core)
    words = f"{core.provider}: the connection was lost and could not be restored: {command.reason}"
    core.emit(
        ev.ErrorGeneral, code=command.code, error=words, recoverable=False, exception=command.error
    )
    core.emit(ev.ConnectionFailed, code=command.code, error=words, retryable=False)


def unplug(core: SessionCore, why: str) -> None:
    """No provider any more. What was received goes on playing; what was asked for will not come."""
    core.connected = core.recovering = False
    core.user_speaking = False
    reply = core.replies.open
    tools.call_off_all(core, "connection", tell_provider=False)
    if reply is not None:
        if reply.state is ReplyState.ACTIVE:
            break_off(core, reply, why)
        core.replies.withdraw(reply)
    core.replies.pending = None
    core.replies.stop_next = False
    core.replies.to_stop = 0
    turns.drop(core)
    user.give_up_transcripts(core, why)
    core.clear_timer("response", "stall", "rotation", "overdue")


def break_off(core: SessionCore, reply: Reply, why: str, cancelled: str = "") -> None:
    """No more of this reply will come. Of what has come, the words stay that are heard.

    That is an error, unless it was `cancelled` for a reason.
    """
    for item_id in reply.items:
        item = core.conversation.get(item_id)
        silent = item is not None and not item.audio_ms and item.status == "in_progress"
        if silent and not core.answers_in_text:
            core.conversation.remove(item_id)
    assistant.finish(core, reply, "incomplete")
    reply.failed = True
    if cancelled:
        core.emit(ev.ResponseCancelled, response_id=reply.id, reason=cancelled)
    else:
        core.emit(ev.ResponseError, response_id=reply.id, code="connection", error=why)


def _hear_again(core: SessionCore, reply: Reply) -> None:
    """The turn that this answers is replayed: the answer to that counts."""
    asked = reply.asked if isinstance(reply.asked, fx.CreateResponse) else None
    wanted = reply.state is ReplyState.DUE
    _let_go(core, reply)
    if core.manual_turns:
        if wanted:
            core.request(asked or fx.CreateResponse())
    elif core.capabilities.auto_response:
        core.expect(ours=False)
    elif wanted and not core.auto_response:
        core.replies.pending = asked or fx.CreateResponse()


def ask_again(core: SessionCore, reply: Reply, untold: bool) -> None:
    """The answer is owed to something that is known as text. `untold`: the provider does not know that."""
    turn = core.conversation.get(reply.turn_id)
    _let_go(core, reply)
    if isinstance(reply.asked, fx.Say):
        core.expect(ours=True, asked=reply.asked)
        core.out.append(fx.Speak(reply.asked.text))
    elif turn is not None and turn.text and (untold or core.asked_since(turn)):
        core.expect(ours=True)
        core.out.append(fx.SendText(turn.text, "user"))
    else:
        core.request(reply.asked or fx.CreateResponse())
    due = core.replies.current
    if due is not None:
        due.awaits_continuation, due.turn_id = reply.awaits_continuation, reply.turn_id


def _let_go(core: SessionCore, reply: Reply) -> None:
    """Another reply takes its place. Its tools go on; whoever asks for the same is given their results."""
    for call_id in reply.open_calls:
        core.calls.let_go(call_id)
    core.replies.withdraw(reply)
