"""Checks of tool calls."""

from __future__ import annotations

import json

from voxengine.events import (
    FunctionInvoked,
    ProviderEvent,
    ResponseCompleted,
    ResponseStarted,
    TextOutput,
)
from voxengine.providers.base import BaseProvider
from voxengine.testing.conformance.case import Case, of
from voxengine.testing.conformance.checks import check, expect
from voxengine.testing.conformance.laws import output_belongs, responses_end_once


async def _called(
    case: Case, text: str | None, count: int = 1
) -> tuple[BaseProvider, list[FunctionInvoked]]:
    """A provider that has called tools, and the calls."""
    if text is None:
        case.skip("the scenario has no words that lead to such a call")
    provider = await case.open(tools=case.scenario.tools)
    await case.within(provider.send_text(str(text)), "send_text()")
    await case.wait_for(FunctionInvoked)
    await case.quiet()
    calls = of(case.events, FunctionInvoked)
    expect(len(calls) == count, f"{len(calls)} tool call(s) instead of {count}")
    return provider, calls


async def _answer(
    case: Case, provider: BaseProvider, calls: list[FunctionInvoked]
) -> list[ProviderEvent]:
    """Give the results; the events of the answer."""
    since = len(case.events)
    for call in calls:
        await case.within(
            provider.send_tool_result(call.call_id, case.scenario.tool_output), "send_tool_result()"
        )
    if not provider.capabilities.continues_after_tool:
        await case.quiet()
        expect(
            not of(case.events[since:], ResponseStarted),
            "it went on by itself, which it says it does not",
        )
        await case.within(provider.create_response(), "create_response() after a tool")
    await case.wait_for(TextOutput, since=since)
    await case.wait_for(ResponseCompleted, since=since)
    await case.quiet()
    return case.events[since:]


@check("text_input", "tools")
async def tool_call_is_well_formed(case: Case) -> None:
    """A tool call names a declared tool, has an id, and its arguments are the JSON text of one object."""
    _, calls = await _called(case, case.scenario.tool)
    call = calls[0]
    expect(call.call_id, "the tool call has no call_id")
    names = [tool["name"] for tool in case.scenario.tools]
    expect(call.name in names, f"the tool {call.name!r} was not declared")
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, TypeError):
        arguments = None
    expect(isinstance(arguments, dict), f"the arguments {call.arguments!r} are no JSON object")


@check("text_input", "tools")
async def tool_result_is_answered(case: Case) -> None:
    """With the result the answer goes on: by itself where the capabilities say so, else when asked."""
    provider, calls = await _called(case, case.scenario.tool)
    events = await _answer(case, provider, calls)
    expect(
        "".join(e.text for e in of(events, TextOutput)).strip(),
        "the answer after the tool has no words",
    )
    responses_end_once(case.events)
    output_belongs(case.events)
    await case.still_answers(provider, "a tool call")


@check("text_input", "tools", "parallel_tools")
async def tools_in_parallel(case: Case) -> None:
    """Several calls at a time have ids of their own, and are answered together, once, when all have returned."""
    provider, calls = await _called(case, case.scenario.two_tools, 2)
    expect(calls[0].call_id != calls[1].call_id, "two tool calls have one call_id")
    # In the other order: results belong to their call by id, not by place.
    events = await _answer(case, provider, calls[::-1])
    expect(len(of(events, ResponseStarted)) <= 1, "two results were answered twice")


@check("tools")
async def unknown_tool_call_is_refused(case: Case) -> None:
    """A result for a call that never was is refused, and the session lives on."""
    provider = await case.open(tools=case.scenario.tools)
    await case.refused_now_or_later(
        provider.send_tool_result("call_that_never_was", "{}"), "a result for an unknown call"
    )
    if provider.capabilities.text_input:
        await case.still_answers(provider, "a result for an unknown call")


@check("text_input", "tools", "cancel")
async def interrupt_during_a_tool_call(case: Case) -> None:
    """interrupt() while a tool runs does not spoil the session, whether its result comes or not."""
    provider, calls = await _called(case, case.scenario.tool)
    await case.within(provider.interrupt(), "interrupt() during a tool call")
    await case.quiet()
    responses_end_once(case.events)
    try:
        await case.within(provider.send_tool_result(calls[0].call_id, "{}"), "a late tool result")
    except Exception as error:
        expect(getattr(error, "code", None), f"a late tool result raised {error!r}")
    await case.quiet(2.0)
    await case.still_answers(provider, "interrupt() during a tool call")
