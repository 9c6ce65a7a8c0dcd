"""Checks of calling responses off, by message and by speech."""

from __future__ import annotations

from voxengine.errors import UnsupportedFeatureError
from voxengine.events import (
    AudioOutputChunk,
    ErrorGeneral,
    ProviderEvent,
    ResponseCancelled,
    ResponseStarted,
    TextOutput,
)
from voxengine.providers.base import BaseProvider
from voxengine.testing.conformance.case import ENDS, Case, of
from voxengine.testing.conformance.checks import check, expect
from voxengine.testing.conformance.laws import output_belongs, responses_end_once


async def _speaking(case: Case, **settings: object) -> tuple[BaseProvider, str]:
    """A provider in the middle of a long answer, and the id of that."""
    provider = await case.open(**settings)
    await case.within(provider.send_text(case.scenario.long), "send_text()")
    started = await case.wait_for(ResponseStarted)
    first: type[ProviderEvent] = (
        AudioOutputChunk if provider.capabilities.audio_output else TextOutput
    )
    await case.wait_for(first)
    expect(
        not [e for e in case.events if isinstance(e, ENDS)],
        "the long answer is too short for this check",
    )
    return provider, str(started.response_id)


@check("text_input", "cancel")
async def interrupt_stops_the_response(case: Case) -> None:
    """interrupt() ends the response with RESPONSE_CANCELLED, once, and nothing of it comes after that."""
    provider, response_id = await _speaking(case)
    await case.within(provider.interrupt(), "interrupt()")
    cancelled = await case.wait_for(ResponseCancelled)
    expect(
        cancelled.response_id == response_id,
        f"cancelled was {cancelled.response_id}, not {response_id}",
    )
    await case.quiet(2.0)
    after = case.events[case.events.index(cancelled) + 1 :]
    late = [str(e.type) for e in after if getattr(e, "response_id", None) == response_id]
    late = [
        kind for kind in late if kind not in ("usage_updated", "timing_stage", "metrics_updated")
    ]
    expect(not late, f"after RESPONSE_CANCELLED came {', '.join(late)}")
    responses_end_once(case.events)
    await case.still_answers(provider, "interrupt()")


@check("text_input")
async def interrupt_without_response_is_harmless(case: Case) -> None:
    """interrupt() without a response, and twice after one, changes nothing."""
    provider = await case.open()
    await case.within(provider.interrupt(), "interrupt() without a response")
    await case.quiet()
    expect(
        not of(case.events, ResponseCancelled),
        "interrupt() without a response gave RESPONSE_CANCELLED",
    )
    expect(not of(case.events, ErrorGeneral), "interrupt() without a response gave an error")
    await case.ask(provider, case.scenario.hello)
    for _ in range(2):
        await case.within(provider.interrupt(), "interrupt() after a response")
    await case.quiet()
    responses_end_once(case.events)
    await case.still_answers(provider, "interrupt() without a response")


@check("text_input", "cancel")
async def interrupt_before_the_first_word(case: Case) -> None:
    """interrupt() right after a text: whatever began has one end, and the session goes on."""
    provider = await case.open()
    await case.within(provider.send_text(case.scenario.long), "send_text()")
    await case.within(provider.interrupt(), "interrupt() right after a text")
    await case.quiet(2.0)
    responses_end_once(case.events)
    output_belongs(case.events)
    await case.still_answers(provider, "interrupt() right after a text")


@check("text_input", lacks=("cancel",))
async def interrupt_is_refused_where_it_cannot_work(case: Case) -> None:
    """Without the capability `cancel`, interrupt() during a response raises UnsupportedFeatureError."""
    provider, _ = await _speaking(case)
    await case.refused(provider.interrupt(), "interrupt() of a response", UnsupportedFeatureError)


@check("text_input", "self_interrupting", "turn_detection")
async def speech_stops_the_response(case: Case) -> None:
    """A provider that interrupts itself ends its response when the user speaks: once, and nothing comes after."""
    provider, response_id = await _speaking(case)
    await case.speak(provider)
    ends = [e for e in case.events if isinstance(e, ENDS) and e.response_id == response_id]
    expect(len(ends) == 1, f"the response that was spoken over ended {len(ends)} times")
    expect(
        isinstance(ends[0], ResponseCancelled),
        f"the response that was spoken over ended with {ends[0].type}",
    )
    responses_end_once(case.events, all_ended=False)
    output_belongs(case.events)
