"""One short conversation with the real Ultravox."""

from __future__ import annotations

import os

import pytest

from tests.vendors.line import Line
from voxengine import events as ev
from voxengine.providers.ultravox import UltravoxProvider

pytestmark = [
    pytest.mark.live,
    pytest.mark.real_clock,
    pytest.mark.skipif("ULTRAVOX_API_KEY" not in os.environ, reason="ULTRAVOX_API_KEY is not set"),
]


async def test_it_answers():
    provider = UltravoxProvider({"instructions": "Answer with one short sentence."})
    line = Line(provider)
    await provider.connect()
    await provider.send_text("Say hello.")
    await line.wait(ev.ResponseCompleted)
    await provider.disconnect()
    kinds = {type(event) for event in line.events}
    assert {ev.ResponseStarted, ev.TextOutput, ev.AudioOutputChunk, ev.UsageUpdated} <= kinds
    assert not kinds & {ev.ErrorGeneral, ev.ConnectionLost}
