"""Tool calls: each is run once, and the answer after it is watched for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from voxengine import events as ev
from voxengine.conversation import Item
from voxengine.session import effects as fx
from voxengine.session.calls import Call
from voxengine.session.replies import Reply, ReplyState
from voxengine.session.rules import assistant, outage, with_fields

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
    call = core.calls.open(event, reply)
    event = with_fields(event, call_id=call.call_id)
    twin = core.calls.twin(call)
    item = core.add(core.calls.item_of(call, core.new_id("item"), event.arguments))
    if event.item_id is None:
        core.nameless.add(item.id)
    else:
        core.aliases.setdefault(event.item_id, item.id)
    if event.name in core.silent_tools:
        core.calls.let_go(
            call.call_id
        )  # nothing waits for it, and it is no part of what is called off
        call.silent = True
        if twin is not None and twin.output is not None:
            twin = None  # the answer to that was asked for since: it is wanted once more
    else:
        reply.had_calls = True
        reply.open_calls.add(event.call_id)
    core.out.append(event)
    if twin is None:
        core.out.append(fx.RunTool(event.call_id, event.name, event.arguments))
    elif twin.output is None:
        # It is still running: another connection, which does not know of it, has asked for it again.
        call.leader = twin.call_id
        twin.followers.append(call.call_id)
    else:
        # The user went on speaking after the call had run: it is not run twice for one turn.
        tool_finished(core, fx.ToolFinished(event.call_id, twin.output))


def function_cancelled(core: SessionCore, event: ev.FunctionCancelled) -> None:
    """The provider takes a call back."""
    known = core.calls.get(event.call_id)
    held = next((each for each in core.held_results if each[0] is known), None)
    if held is not None:
        core.held_results.remove(held)
        _tell_in_words(core, *held)  # what it does not wait for any more has a result all the same
        return
    call = core.calls.cancel(known.call_id) if known is not None else None
    if call is None:
        return
    if call.reply is not None:
        call.reply.open_calls.discard(call.call_id)
    _stop(core, call)
    core.out.append(with_fields(event, call_id=call.call_id, name=call.name))


def tool_finished(
    core: SessionCore, report: fx.ToolFinished, *, item_id: str | None = None
) -> None:
    """A tool returned, or failed; the assistant is told either way. The result's item has this id, if it has one."""
    call = core.calls.finish(report.call_id)
    if call is None:
        return
    result = core.calls.result_of(call, item_id or core.new_id("item"), report.output)
    core.add(result, after=call.item_id)
    core.nameless.add(result.id)
    facts: dict[str, Any] = {
        "call_id": report.call_id,
        "name": call.name,
        "duration_ms": report.duration_ms,
    }
    if report.code is None:
        core.emit(ev.FunctionCompleted, output=report.output, **facts)
    else:
        core.emit(ev.FunctionFailed, code=report.code, error=report.error or report.code, **facts)
    reply = (
        call.reply if call.reply is not None and call.reply.state is not ReplyState.VOID else None
    )
    if core.connected and call.silent and _would_go_on(core, call):
        core.held_results.append((call, result))
    elif core.connected:
        _tell(core, call, result, best_effort=reply is None and not call.silent)
    for follower in call.followers:
        tool_finished(core, msgspec.structs.replace(report, call_id=follower))
    if reply is not None:
        reply.open_calls.discard(report.call_id)
        if not reply.open_calls:
            _all_returned(core, reply, known_there=call.leg == core.calls.leg)


def _would_go_on(core: SessionCore, call: Call) -> bool:
    """Whether the provider would answer this result, though it was not asked to."""
    can = core.capabilities
    return (
        call.leg == core.calls.leg
        and can.answers
        and can.continues_after_tool
        and not can.silent_results
    )


def tell_held(core: SessionCore, best_effort: bool = False) -> bool:
    """Tell results that were kept because the provider goes on when it has them. Whether it will.

    `best_effort`: it may not wait for them any more.
    """
    held, core.held_results = core.held_results, []
    goes_on = False
    for call, result in held:
        if result.id in core.conversation:
            goes_on = goes_on or _would_go_on(core, call)
            _tell(core, call, result, best_effort)
    return goes_on


def go_on_with_held(core: SessionCore, command: fx.CreateResponse) -> bool:
    """A response is asked for: the one that follows on results that were kept. False if there are none."""
    if not core.held_results or not tell_held(core):
        return False
    if command.modalities or command.instructions or command.overrides:
        words = f"provider {core.provider!r} goes on after a tool as always: what was asked for beside is left out"
        core.warn("response_options_left_out", words)
    core.expect(ours=True).awaits_continuation = True
    return True


def _tell(core: SessionCore, call: Call, result: Item, best_effort: bool) -> None:
    """Let the provider know of a result; one whose call came over another connection, of the call as well."""
    if call.leg == core.calls.leg:
        core.out.append(fx.SendToolResult(call.vendor_id, result.output or "", best_effort))
    elif not call.followers:  # otherwise that connection has made the call, too
        _tell_in_words(core, call, result)


def _tell_in_words(core: SessionCore, call: Call, result: Item) -> None:
    """Let a provider know of a result that does not wait for it."""
    if core.capabilities.history == "items":
        core.out.append(fx.TellItems((call.item_id, result.id)))
    elif core.capabilities.system_messages:
        words = f"The call of the tool {call.name!r} has returned: {result.output}"
        core.out.append(fx.SendText(words, "system"))
    else:
        core.warn(
            "tool_result_not_told",
            f"the result of {call.name!r} cannot be told to provider {core.provider!r}, which does not wait for it",
        )


def _all_returned(core: SessionCore, reply: Reply, known_there: bool) -> None:
    if core.recovering:
        if reply.state is not ReplyState.DONE:
            return
        if core.replies.open is None:
            outage.owe(core, reply)
        else:
            _ask_later(core)
    elif reply.state is ReplyState.DONE:
        if known_there:
            reply.awaits_continuation = core.capabilities.continues_after_tool
            assistant.after(core, reply)
        else:
            go_on(core, reply)
    elif core.capabilities.continues_after_tool and not core.user_speaking:
        _watch(core, reply)


def go_on(core: SessionCore, reply: Reply) -> None:
    """All results of a finished response are there: ask for the answer to them.

    That is now, or after the user's turn, or after the response that is under way: where a text calls a tool while the
    user speaks, the turn may have its answer before the tool returns.
    """
    if not core.connected:
        return
    if core.user_speaking or core.replies.open is not None:
        _ask_later(core)
        return
    followed = reply is not core.replies.current
    core.request(core.replies.pending or fx.CreateResponse())
    core.replies.pending = None
    due = core.replies.current
    if due is not None and due.state is ReplyState.DUE:
        due.awaits_continuation = True
        if followed:
            due.turn_id = reply.turn_id


def await_going_on(core: SessionCore, reply: Reply) -> None:
    """The provider goes on by itself, in another response: that is due."""
    reply.awaits_continuation = False
    if core.replies.open is None and not core.user_speaking and core.connected:
        core.expect(ours=False).awaits_continuation = True


def call_off(core: SessionCore, reply: Reply, reason: str, tell_provider: bool) -> None:
    """Stop the calls of a reply that was called off, and do not leave the provider waiting for their results."""
    for call_id in sorted(reply.open_calls):
        call = core.calls.cancel(call_id)
        if call is None:
            continue
        _stop(core, call)
        core.emit(ev.FunctionCancelled, call_id=call_id, name=call.name, reason=reason)
        if tell_provider and core.connected and call.leg == core.calls.leg:
            core.out.append(fx.SendToolResult(call.vendor_id, CANCELLED, best_effort=True))
    reply.open_calls.clear()


def call_off_all(core: SessionCore, reason: str, tell_provider: bool) -> None:
    """As `call_off`, for all replies that wait for their tools: others may have followed them."""
    for reply in core.calls.awaited_by():
        call_off(core, reply, reason, tell_provider)


def _ask_later(core: SessionCore) -> None:
    core.replies.pending = core.replies.pending or fx.CreateResponse()


def _stop(core: SessionCore, call: Call) -> None:
    if call.leader is not None:
        core.calls.cancel(call.leader)
    core.out.append(fx.CancelTool(call.leader or call.call_id))


def _watch(core: SessionCore, reply: Reply) -> None:
    reply.awaits_continuation = True
    core.set_timer("response", core.options.response_timeout)
