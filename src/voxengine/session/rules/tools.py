"""Tool calls: each is run once, and the answer after it is watched for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxengine import events as ev
from voxengine.session import effects as fx
from voxengine.session.replies import Reply, ReplyState
from voxengine.session.rules import assistant, with_fields

if TYPE_CHECKING:
    from voxengine.session.core import SessionCore

#: What a provider is told of a call that was stopped.
CANCELLED = '{"error": "cancelled: the user interrupted"}'


def function_invoked(core: SessionCore, event: ev.FunctionInvoked) -> None:
    """The assistant calls a tool."""
    if not event.call_id:
        event = with_fields(event, call_id=core.new_id("call"))
    if core.calls.get(event.call_id) is not None:
        return
    reply = assistant.reply_of(core, event.response_id)
    if reply is None:
        return
    event = with_fields(event, response_id=reply.id)
    earlier = core.calls.output_in_turn(event, reply.turn_id)
    call = core.calls.open(event, reply.turn_id)
    core.add(core.calls.item_of(call, core.new_id("item"), event.arguments))
    reply.had_calls = True
    reply.open_calls.add(event.call_id)
    core.out.append(event)
    if earlier is None:
        core.out.append(fx.RunTool(event.call_id, event.name, event.arguments))
    else:
        # The user went on speaking after the call had run: it is not run twice for one turn.
        tool_finished(core, fx.ToolFinished(event.call_id, earlier))


def function_cancelled(core: SessionCore, event: ev.FunctionCancelled) -> None:
    """The provider takes a call back."""
    call = core.calls.cancel(event.call_id)
    if call is None:
        return
    reply = core.replies.get(call.response_id)
    if reply is not None:
        reply.open_calls.discard(event.call_id)
    core.out.append(fx.CancelTool(event.call_id))
    core.out.append(with_fields(event, name=call.name))


def tool_finished(core: SessionCore, report: fx.ToolFinished) -> None:
    """A tool returned, or failed; the assistant is told either way."""
    call = core.calls.finish(report.call_id)
    if call is None:
        return
    core.add(core.calls.result_of(call, core.new_id("item"), report.output), after=call.item_id)
    facts: dict[str, Any] = {
        "call_id": report.call_id,
        "name": call.name,
        "duration_ms": report.duration_ms,
    }
    if report.code is None:
        core.emit(ev.FunctionCompleted, output=report.output, **facts)
    else:
        core.emit(ev.FunctionFailed, code=report.code, error=report.error or report.code, **facts)
    reply = core.replies.get(call.response_id)
    if core.connected:
        core.out.append(fx.SendToolResult(report.call_id, report.output, best_effort=reply is None))
    if reply is None:
        return
    reply.open_calls.discard(report.call_id)
    if reply.open_calls:
        return
    if reply.state is ReplyState.DONE:
        reply.awaits_continuation = core.capabilities.continues_after_tool
        assistant.after(core, reply)
    elif core.capabilities.continues_after_tool and not core.user_speaking:
        _watch(core, reply)


def go_on(core: SessionCore, reply: Reply) -> None:
    """All results of a finished response are there: ask for the answer to them, unless the user is speaking."""
    if reply is core.replies.current and not core.user_speaking and core.connected:
        core.request(core.replies.pending or fx.CreateResponse())
        core.replies.pending = None
        if core.replies.current is not None:
            core.replies.current.awaits_continuation = True


def await_going_on(core: SessionCore, reply: Reply) -> None:
    """The provider goes on by itself, in another response: that is due."""
    reply.awaits_continuation = False
    if reply is core.replies.current and not core.user_speaking and core.connected:
        core.expect(ours=False).awaits_continuation = True


def call_off(core: SessionCore, reply: Reply, reason: str, tell_provider: bool) -> None:
    """Stop the calls of a reply that was called off, and do not leave the provider waiting for their results."""
    for call_id in sorted(reply.open_calls):
        call = core.calls.cancel(call_id)
        if call is None:
            continue
        core.out.append(fx.CancelTool(call_id))
        core.emit(ev.FunctionCancelled, call_id=call_id, name=call.name, reason=reason)
        if tell_provider and core.connected:
            core.out.append(fx.SendToolResult(call_id, CANCELLED, best_effort=True))
    reply.open_calls.clear()


def _watch(core: SessionCore, reply: Reply) -> None:
    reply.awaits_continuation = True
    core.set_timer("response", core.options.response_timeout)
