"""One short conversation with the real Gemini Live."""

from __future__ import annotations

import os

import pytest

from tests.vendors.line import Line
from voxengine import events as ev
from voxengine.providers.gemini.provider import GeminiProvider

pytestmark = [
    pytest.mark.live,
    pytest.mark.real_clock,
    pytest.mark.skipif("GEMINI_API_KEY" not in os.environ, reason="GEMINI_API_KEY is not set"),
]


async def test_it_answers():
    provider = GeminiProvider({"instructions": "Answer with one short sentence."})
    line = Line(provider)
    await provider.connect()
    await provider.send_text("Say hello.")
    await line.wait(ev.ResponseCompleted)
    await provider.disconnect()
    kinds = {type(event) for event in line.events}
    assert {ev.ResponseStarted, ev.TextOutput, ev.AudioOutputChunk, ev.UsageUpdated} <= kinds
    assert not kinds & {ev.ErrorGeneral, ev.ConnectionLost}
