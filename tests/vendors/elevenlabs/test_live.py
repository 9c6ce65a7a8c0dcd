"""One short conversation with a real agent."""

from __future__ import annotations

import os

import pytest

from tests.vendors.line import Line
from voxengine import events as ev
from voxengine.providers.elevenlabs import ElevenLabsProvider

NEEDED = ("ELEVENLABS_API_KEY", "ELEVENLABS_AGENT_ID")
pytestmark = [
    pytest.mark.live,
    pytest.mark.real_clock,
    pytest.mark.skipif(
        any(name not in os.environ for name in NEEDED), reason=f"{' or '.join(NEEDED)} is not set"
    ),
]


async def test_it_answers():
    provider = ElevenLabsProvider({"agent_id": os.environ["ELEVENLABS_AGENT_ID"]})
    line = Line(provider)
    await provider.connect()
    await provider.send_text("Say hello, in one short sentence.")
    await line.wait(ev.ResponseCompleted)
    await provider.disconnect()
    kinds = {type(event) for event in line.events}
    assert {ev.ResponseStarted, ev.TextOutput, ev.AudioOutputChunk, ev.UsageUpdated} <= kinds
    assert not kinds & {ev.ErrorGeneral, ev.ConnectionLost}
