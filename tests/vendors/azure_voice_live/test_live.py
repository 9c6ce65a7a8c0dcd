"""One short conversation with the real service."""

from __future__ import annotations

import os

import pytest

from tests.vendors.line import Line
from voxengine import events as ev
from voxengine.providers.azure_voice_live import AzureVoiceLiveProvider

_NEEDED = ("AZURE_VOICE_LIVE_API_KEY", "AZURE_VOICE_LIVE_ENDPOINT")
pytestmark = [
    pytest.mark.live,
    pytest.mark.real_clock,
    pytest.mark.skipif(
        not all(name in os.environ for name in _NEEDED), reason=f"{' or '.join(_NEEDED)} is not set"
    ),
]


async def test_it_answers():
    provider = AzureVoiceLiveProvider({"instructions": "Answer with one short sentence."})
    line = Line(provider)
    await provider.connect()
    await provider.send_text("Say hello.")
    await line.wait(ev.ResponseCompleted)
    await provider.disconnect()
    kinds = {type(event) for event in line.events}
    assert {ev.ResponseStarted, ev.TextOutput, ev.AudioOutputChunk, ev.UsageUpdated} <= kinds
    assert not kinds & {ev.ErrorGeneral, ev.ConnectionLost}
    assert any(event.audio_end_ms is not None for event in line.of(ev.TextOutput))
