"""Two connections hear the user, and the other one takes over: it was the first to answer, or the one at work is lost.

It has heard all that the user said, so that nothing is replayed; and it gives the answer that is due by itself, unless
its own was called off before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxengine import events as ev
from voxengine.session import effects as fx
from voxengine.session.replies import ReplyState
from voxengine.session.rules import assistant, outage, user

if TYPE_CHECKING:
    from voxengine.session.core import SessionCore


def took_over(core: SessionCore, command: fx.HedgeTookOver) -> None:
    """Another connection goes on. What is owed stays owed, whatever the one before had begun of it."""
    lost = not core.connected
    core.clear_timer("response", "stall", "rotation", "overdue")
    if not lost:
        _set_aside(core)
    core.replies = core.replies.carry()
    core.manual_turns = command.manual_turns
    core.begin_leg(command)
    core.aliases.update(command.aliases)
    known = frozenset(command.aliases.values())
    core.reopened = [item_id for item_id in core.reopened if item_id not in known]
    core.user_speaking = command.speaking
    if lost:
        core.emit(ev.ConnectionRestored, reason=command.switched.code, items=command.switched.items)
    core.out.append(command.switched)
    user.give_up_transcripts(
        core,
        "another provider took over",
        but=known if core.capabilities.input_transcription else (),
    )
    reply = core.replies.open
    if reply is None:
        assistant.ask_pending(core)
    elif reply.state is ReplyState.DUE and command.answers:
        core.set_timer("response", core.options.response_timeout)
        if core.options.failover_after is not None:
            core.set_timer("overdue", core.options.failover_after)
    elif reply.state is ReplyState.DUE:
        outage.ask_again(core, reply, untold=False)


def _set_aside(core: SessionCore) -> None:
    """What the other has begun, and nobody has perceived, or what has failed there, is expected anew."""
    reply = core.replies.current
    if reply is None or reply.had_calls:
        return
    if reply.state is ReplyState.ACTIVE:
        outage.break_off(core, reply, "", cancelled="hedged")
        outage.owe(core, reply)
    elif reply.state is ReplyState.DONE and reply.failed:
        outage.owe(core, reply)
