"""Checks of what a provider says about itself."""

from __future__ import annotations

import json
import logging

from voxengine.audio.formats import AudioFormat
from voxengine.errors import VoiceEngineError
from voxengine.providers.capabilities import Capabilities
from voxengine.testing.conformance.case import SECRET, Case
from voxengine.testing.conformance.checks import check, expect

#: A capability that makes sense only together with another one.
_IMPLIES = {
    "parallel_tools": "tools",
    "continues_after_tool": "tools",
    "partial_transcripts": "input_transcription",
    "vad_events": "turn_detection",
    "auto_response": "turn_detection",
    "self_interrupting": "turn_detection",
    "truncate": "audio_output",
    "history_max_bytes": "history",
    "history_max_items": "history",
}


@check()
async def capabilities_make_sense(case: Case) -> None:
    """Capabilities are data that JSON can hold, and do not contradict each other."""
    provider = case.create()
    capabilities = provider.capabilities
    expect(isinstance(capabilities, Capabilities), "capabilities are no Capabilities")
    try:
        json.dumps(provider.get_capabilities())
    except TypeError as error:
        expect(False, f"get_capabilities() is not fit for JSON: {error}")
    for feature, base in _IMPLIES.items():
        expect(
            not provider.supports_feature(feature) or provider.supports_feature(base),
            f"it states {feature}, but not {base}",
        )
    expect(capabilities.input_formats, "it states no input format")
    expect(
        capabilities.output_formats or not capabilities.audio_output, "it states no output format"
    )
    for format in (*capabilities.input_formats, *capabilities.output_formats):
        expect(
            isinstance(format, AudioFormat) and format.channels == 1,
            f"{format!r} is no mono AudioFormat",
        )
    expect(
        not provider.supports_feature("no_such_feature"),
        "it supports a feature that does not exist",
    )
    limit = capabilities.max_connection_seconds
    expect(limit is None or limit > 0, f"max_connection_seconds is {limit}")


@check()
async def audio_format_is_stated(case: Case) -> None:
    """get_audio_format() is one of the stated formats, and a stated one that is wished for is taken."""
    provider = case.create()
    stated = provider.capabilities.input_formats
    expect(
        provider.get_audio_format() in stated,
        f"it takes {provider.get_audio_format()}, which is not stated",
    )
    for wish in stated:
        got = case.create(input_format=wish).get_audio_format()
        expect(got == wish, f"wished for {wish}, which is stated, it takes {got}")


@check()
async def usage_and_cost_have_types(case: Case) -> None:
    """get_usage() is a dict or None, estimate_cost() a number or None; both at any time."""
    provider = case.create()
    for when in ("before connect()", "while connected", "after disconnect()"):
        usage, cost = await provider.get_usage(), await provider.estimate_cost()
        expect(
            usage is None or isinstance(usage, dict),
            f"get_usage() {when} is a {type(usage).__name__}",
        )
        json.dumps(usage)
        free = isinstance(cost, (int, float)) and not isinstance(cost, bool) and cost >= 0
        expect(cost is None or free, f"estimate_cost() {when} is {cost!r}")
        if when == "before connect()":
            await case.within(provider.connect(), "connect()")
        else:
            await case.within(provider.disconnect(), "disconnect()")


@check()
async def secrets_stay_secret(case: Case) -> None:
    """The API key is in no repr, no log line, no event and no error."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign, assignment]
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    shown: list[str] = []
    try:
        provider = await case.open(api_key=SECRET)
        if provider.capabilities.text_input:
            await case.ask(provider, case.scenario.hello)
        try:
            await provider.send_message("no_such_message", {})
        except VoiceEngineError as error:
            shown.append(str(error))
        shown += [repr(provider), str(provider), repr(provider.config), str(provider.config)]
        shown.append(json.dumps(provider.get_capabilities()))
        await case.within(provider.disconnect(), "disconnect()")
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    places = {
        "a repr or an error": " ".join(shown),
        "an event": " ".join(repr(e) + str(e.data) for e in case.events),
        "a log line": " ".join(r.getMessage() for r in records),
    }
    for place, text in places.items():
        expect(SECRET not in text, f"the API key shows in {place}")
