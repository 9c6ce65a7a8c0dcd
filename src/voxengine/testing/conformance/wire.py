"""Checks of what goes over the wire as it is."""

from __future__ import annotations

from voxengine.errors import UnsupportedFeatureError
from voxengine.testing.conformance.case import Case
from voxengine.testing.conformance.checks import check


@check()
async def takes_the_vendors_own_words(case: Case) -> None:
    """Messages in the vendor's own words reach it, and cost the session nothing, even if they are refused."""
    if not case.scenario.own_words:
        case.skip("the scenario has no messages in the vendor's own words")
    provider = await case.open()
    for message in case.scenario.own_words:
        try:
            await case.within(provider.send_event(message), f"send_event({message['type']})")
        except UnsupportedFeatureError as error:
            case.skip(str(error))
    await case.quiet()
    await case.still_answers(provider, "messages in the vendor's own words")


@check()
async def refuses_what_is_no_message(case: Case) -> None:
    """A message without a type, or that cannot be written, is refused with a typed error."""
    if not case.scenario.own_words:
        case.skip("the scenario has no messages in the vendor's own words")
    provider = await case.open()
    await case.refused(provider.send_event({}), "send_event() without a type")
    await case.refused(
        provider.send_event({"type": "x", "x": object()}), "send_event() of what is no JSON"
    )
    await case.still_answers(provider, "a message that is none")
