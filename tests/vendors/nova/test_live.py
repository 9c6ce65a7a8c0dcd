"""One short conversation with the real Nova Sonic."""

from __future__ import annotations

import os

import pytest

from tests.vendors.line import Line
from tests.vendors.nova.needs import needs_library
from voxengine import events as ev
from voxengine.providers.nova import NovaProvider

pytestmark = [
    needs_library,
    pytest.mark.live,
    pytest.mark.real_clock,
    pytest.mark.skipif(
        "AWS_ACCESS_KEY_ID" not in os.environ, reason="AWS_ACCESS_KEY_ID is not set"
    ),
]


async def test_it_answers():
    provider = NovaProvider({"instructions": "Answer with one short sentence."})
    line = Line(provider)
    await provider.connect()
    await provider.send_text("Say hello.")
    await line.wait(ev.ResponseCompleted)
    await provider.disconnect()
    kinds = {type(event) for event in line.events}
    assert {ev.ResponseStarted, ev.TextOutput, ev.AudioOutputChunk, ev.UsageUpdated} <= kinds
    assert not kinds & {ev.ErrorGeneral, ev.ConnectionLost}
