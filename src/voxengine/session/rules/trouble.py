"""Timers, errors, lost connections. Nothing here leaves the session waiting for something that will not come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxengine import events as ev
from voxengine.errors import ConnectionError
from voxengine.session import effects as fx
from voxengine.session.replies import Reply, ReplyState
from voxengine.session.rotation import Rotation
from voxengine.session.rules import assistant, outage, turns

if TYPE_CHECKING:
    from voxengine.session.core import SessionCore

#: Codes of errors that tell us what we know: there was nothing to cancel, or a response is under way already.
NOTHING_TO_CANCEL = frozenset({"response_cancel_not_active"})
ALREADY_ACTIVE = frozenset({"conversation_already_has_active_response", "response_active"})

#: Codes of errors after which the provider will do nothing for us any more.
REFUSES_ALL = frozenset({"auth", "quota"})
#: Seconds after which it may be noticed at the latest that a response under way has run dry.
PLAYOUT_LOOK = 0.75


def timer_fired(core: SessionCore, timer: fx.TimerFired) -> None:
    """A timer that the core set has run out."""
    if timer.name == "playout":
        _played(core)
    elif timer.name == "response":
        _response_late(core)
    elif timer.name == "stall":
        _maybe_stalled(core)
    elif timer.name == "overdue":
        _maybe_overdue(core)
    elif timer.name == "rotation" and core.rotation is not None:
        again = core.rotation.look_again(core.now)
        if again is not None:
            core.out.append(fx.SetTimer("rotation", again))


def rotation_failed(core: SessionCore, report: fx.RotationFailed) -> None:
    """The connection that was to take over did not; the present one is still there."""
    if core.rotation is not None:
        core.out.append(fx.SetTimer("rotation", core.rotation.failed(core.now, report.busy)))


def connection_expiring(core: SessionCore, event: ev.ConnectionExpiring) -> None:
    """The provider is about to end the connection: another one takes over at the next quiet moment before that."""
    core.out.append(event)
    if core.rotation is None:
        core.rotation = Rotation(core.now, event.seconds_left, event.seconds_left)
    core.rotation.ends_in(core.now, event.seconds_left)
    core.out.append(fx.SetTimer("rotation", core.rotation.next_look))


def fail_over(core: SessionCore, code: str, reason: str) -> bool:
    """Ask for another provider, where there may be one. False: there is none, or it was asked for already."""
    if core.options.failover_after is None or core.failing_over or not core.connected:
        return False
    core.failing_over = True
    core.out.append(fx.FailOver(code, reason))
    return True


def fail_over_failed(core: SessionCore, _: fx.FailOverFailed) -> None:
    """There was none: go on with the one that there is."""
    core.failing_over = False
    reply = core.replies.current
    if reply is not None and reply.state is ReplyState.DUE and reply.refused:
        core.replies.withdraw(reply)
        turns.settle(core)
        assistant.ask_pending(core)


def call_failed(core: SessionCore, _: fx.CallFailed) -> None:
    """What was to be answered has not reached the provider."""
    reply = core.replies.in_flight
    if reply is not None and reply.state is ReplyState.DUE:
        core.replies.withdraw(reply)
        core.clear_timer("response")


def error(core: SessionCore, event: ev.ErrorGeneral) -> None:
    """The provider complains; of some complaints we know that they do no harm."""
    if event.code in NOTHING_TO_CANCEL:
        core.warn(event.code, event.error or event.code)
    elif event.code in ALREADY_ACTIVE:
        core.warn(event.code, event.error or event.code)
        reply = core.replies.in_flight
        if reply is not None and reply.state is ReplyState.DUE and reply.ours:
            # Ours was refused because the provider has begun one by itself: ask again when that has ended.
            reply.ours = False
            core.replies.pending = core.replies.pending or fx.CreateResponse()
    else:
        core.out.append(event)
        due = core.replies.in_flight is not None
        if event.code in REFUSES_ALL or (event.code == "rate_limit" and due):
            fail_over(core, event.code, event.error or event.code)


def connection_lost(core: SessionCore, event: ev.ConnectionLost) -> None:
    """The provider is gone; for good, unless the runner can do something about it."""
    if core.recovering:
        return
    core.out.append(event)
    if core.options.recovers:
        outage.begin(core)
        return
    outage.unplug(core, "the connection was lost")
    why = event.error or event.reason or event.code
    words = f"the connection to provider {core.provider!r} is lost: {why}"
    error = ConnectionError(words, provider=core.provider, code=event.code, retryable=False)
    core.emit(ev.ErrorGeneral, code=event.code, error=words, recoverable=False, exception=error)


def connection_closed(core: SessionCore, event: ev.ConnectionClosed) -> None:
    """The provider was closed at our wish."""
    core.out.append(event)
    outage.unplug(core, "the connection was closed")


def _played(core: SessionCore) -> None:
    """The queue of audio should be empty by now, unless more has come since the timer was set."""
    assistant.settle(core)
    end = core.playout.end_time(core.now)
    reply = core.replies.active
    if end > core.now + 0.0005:
        # While more is under way the end moves on all the time, and only the state depends on it: look now and then.
        moves = reply is not None and not reply.implied
        core.out.append(fx.SetTimer("playout", max(end, core.now + PLAYOUT_LOOK) if moves else end))
        return
    if reply is not None and reply.implied and not reply.open_calls:
        _end_implied(core, reply)
    core.speaking = None  # the next chunk sets the timer again


def _end_implied(core: SessionCore, reply: Reply) -> None:
    """Of a provider that does not announce its answers, silence is the end of one."""
    assistant.finish(core, reply, "completed")
    core.emit(ev.ResponseCompleted, response_id=reply.id)
    assistant.after(core, reply)


def _response_late(core: SessionCore) -> None:
    reply = core.replies.in_flight
    if reply is None:
        return
    if (reply.awaits_continuation or reply.in_doubt) and not reply.asked_again:
        reply.asked_again = True
        core.replies.to_stop = 0
        after = "a tool call" if reply.awaits_continuation else "a response that was called off"
        core.warn("response_late", f"no answer came after {after}; asking for it again")
        core.out.append(fx.RequestResponse())
        core.set_timer("response", core.options.response_timeout)
        return
    words = f"no response within {core.options.response_timeout:g} s"
    if not reply.given_up and fail_over(core, "stalled", words):
        reply.given_up = True
        core.set_timer("response", core.options.response_timeout)  # unless that comes to something
        return
    _give_up(
        core, reply, "response_timeout", f"no response within {core.options.response_timeout:g} s"
    )


def _maybe_overdue(core: SessionCore) -> None:
    """An answer is due, and the provider may not have shown any sign of life since."""
    reply, patience = core.replies.in_flight, core.options.failover_after
    if reply is None or reply.state is not ReplyState.DUE or patience is None or core.failing_over:
        return
    deadline = core.last_activity + patience
    if deadline > core.now + 0.0005:
        core.set_timer("overdue", deadline - core.now)
    else:
        fail_over(core, "stalled", f"no sign of an answer within {patience:g} s")


def _maybe_stalled(core: SessionCore) -> None:
    reply = core.replies.active
    if reply is None:
        return
    playing = core.playout.remaining_ms(core.now) / 1000
    deadline = core.last_activity + core.options.stall_timeout
    if reply.open_calls:
        core.set_timer("stall", core.options.stall_timeout)  # tools have a limit of their own
    elif deadline > core.now + 0.0005 or playing > 0:
        core.set_timer("stall", max(deadline - core.now, playing))
    elif reply.implied:
        _end_implied(core, reply)
    elif not reply.given_up and fail_over(
        core, "stalled", f"the answer paused for {core.options.stall_timeout:g} s"
    ):
        reply.given_up = True
        core.set_timer("stall", core.options.stall_timeout)  # unless that comes to something
    else:
        _give_up(
            core,
            reply,
            "response_stalled",
            f"the response paused for {core.options.stall_timeout:g} s",
        )


def _give_up(core: SessionCore, reply: Reply, code: str, words: str) -> None:
    begun = reply.state is ReplyState.ACTIVE
    if begun:
        assistant.finish(core, reply, "incomplete")
        core.emit(ev.ResponseError, response_id=reply.id, code=code, error=words)
        core.call_off(reply.id)
    core.emit(ev.ErrorGeneral, code=code, error=f"{core.provider}: {words}", recoverable=True)
    core.replies.void(reply)
    core.replies.to_stop = 0
    turns.settle(core)
    core.clear_timer("response", "stall")
    assistant.ask_pending(core)
