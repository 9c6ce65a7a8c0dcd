"""What the application asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from voxengine import events as ev
from voxengine.conversation import Item, Role
from voxengine.session import effects as fx
from voxengine.session.latency import TurnLatency
from voxengine.session.replies import Replies
from voxengine.session.rules import cutting, injecting, turns, user

if TYPE_CHECKING:
    from voxengine.session.core import SessionCore


def attached(core: SessionCore, command: fx.Attached) -> None:
    """A provider is there, the first or another."""
    if core.provider:
        if core.connected:  # a switch; of one that was lost, what had come goes on playing
            cutting.cut(core, "request", tell_provider=False)
            user.drop_turn(core)
        core.replies = Replies()
        core.calls.let_go_all()
    turns.drop(core)
    user.give_up_transcripts(core, "another provider took over")
    core.begin_leg(command)


def text(core: SessionCore, command: fx.Text) -> None:
    """A text is put in. That of the user interrupts what is being said, and is answered."""
    answered = command.role == "user"
    if answered:
        cutting.cut(core, "request")
        core.latency = TurnLatency(turn_decided=core.now)
    role = cast("Role", command.role)
    item = core.add(Item(id=core.new_id("item"), role=role, text=command.text, status="completed"))
    core.nameless.add(item.id)
    core.emit(ev.TextInput, text=command.text, role=command.role, item_id=item.id)
    if answered:
        core.turn_id = item.id
        core.expect(ours=True)
    core.out.append(fx.SendText(command.text, command.role))


def create_response(core: SessionCore, command: fx.CreateResponse) -> None:
    """A response is asked for: now, when the present one has ended, or it is under way already."""
    reply = core.replies.open
    if reply is None:
        core.request(command)
    elif (
        reply.turn_id != core.turn_id
        or command.instructions
        or command.overrides
        or core.user_speaking
    ):
        # There is something new to answer, or to be told: ask when this one has ended.
        core.replies.pending = command
    else:
        core.warn(
            "response_under_way", "a response was asked for while one to the same turn is under way"
        )


def say(core: SessionCore, command: fx.Say) -> None:
    """A text is to be spoken, instead of what is being said."""
    cutting.cut(core, "request")
    turns.settle(core)
    core.expect(ours=True, asked=command)
    core.out.append(fx.Speak(command.text))


def interrupt(core: SessionCore, _: fx.Interrupt) -> None:
    """Silence, now."""
    core.replies.pending = None
    cutting.cut(core, "request")
    turns.settle(core)


def session_updated(core: SessionCore, event: ev.SessionUpdated) -> None:
    """The provider works with other settings now."""
    if "turn_detection" in event.settings:
        core.manual_turns = event.settings["turn_detection"] == "none"
    core.out.append(event)


def playback_ack(core: SessionCore, ack: fx.PlaybackAck) -> None:
    """The client knows better than our clock what it has played."""
    core.playout.ack(ack.item_id, ack.played_ms, core.now)


def close(core: SessionCore, command: fx.Close) -> None:
    """The end. Nothing is applied after it."""
    injecting.end(core)
    cutting.cut(core, "request", tell_provider=False)
    user.drop_turns(core)
    core.connected = core.recovering = False
    core.user_speaking = False
    core.clear_timer("response", "stall", "playout", "rotation", "overdue", "renewal")
    core.emit(ev.ConversationEnded, conversation_id=core.conversation.id, reason=command.reason)
    core.go("closed")
