"""The judge of the order notices what it is there for, in a conversation that was held."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.gateway.clients.callers import calling
from tests.gateway.clients.order import check
from tests.gateway.clients.providers import YOUNG_MAN
from tests.gateway.clients.servers import serving

#: Of these nothing follows but what they say; of audio, there may be more or less.
_FREE = ("session.updated", "rate_limits.updated", "response.output_audio.delta")
#: Without these nothing is wrong either, but they come once.
_OPTIONAL = (
    "conversation.item.input_audio_transcription.completed",
    "conversation.item.input_audio_transcription.delta",
)


async def conversation() -> list[dict[str, Any]]:
    async with serving("openai") as server, calling(server, "openai") as caller:
        await caller.transcribed()
        talking = asyncio.create_task(caller.say(YOUNG_MAN, pause_ms=2500))
        await caller.answer()
        await talking
        await caller.type("hello")
        await caller.connection.response.create(response={"output_modalities": ["text"]})
        await caller.answer()
        return server.records[0].events


async def test_an_event_that_is_missing_or_comes_twice():
    events = await conversation()
    check(events)
    kinds = {event["type"] for event in events} - set(_FREE)
    assert len(kinds) > 15
    for kind in sorted(kinds):
        place = next(i for i, event in enumerate(events) if event["type"] == kind)
        if kind not in _OPTIONAL:
            with pytest.raises(AssertionError):
                check(events[:place] + events[place + 1 :])
        again = {**events[place], "event_id": "event_again"}
        if not kind.endswith("transcription.delta"):
            with pytest.raises(AssertionError):
                check([*events[: place + 1], again, *events[place + 1 :]])


async def test_an_end_before_its_beginning():
    events = await conversation()
    for begin, end in (
        ("response.created", "response.done"),
        ("response.output_item.added", "response.output_item.done"),
        ("conversation.item.added", "conversation.item.done"),
        ("input_audio_buffer.speech_started", "input_audio_buffer.committed"),
        ("input_audio_buffer.committed", "conversation.item.added"),
    ):
        a = next(i for i, event in enumerate(events) if event["type"] == begin)
        b = next(i for i, event in enumerate(events) if event["type"] == end)
        swapped = list(events)
        swapped[a], swapped[b] = swapped[b], swapped[a]
        with pytest.raises(AssertionError):
            check(swapped)
