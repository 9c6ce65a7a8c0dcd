"""One short conversation with the real service."""

from __future__ import annotations

from tests.vendors.line import live, one_answer
from voxengine import events as ev
from voxengine.providers.azure_voice_live import AzureVoiceLiveProvider

pytestmark = live("AZURE_VOICE_LIVE_API_KEY", "AZURE_VOICE_LIVE_ENDPOINT")


async def test_it_answers():
    line = await one_answer(
        AzureVoiceLiveProvider({"instructions": "Answer with one short sentence."})
    )
    assert any(event.audio_end_ms is not None for event in line.of(ev.TextOutput))
