"""One short conversation with a real agent."""

from __future__ import annotations

import os

from tests.vendors.line import live, one_answer
from voxengine.providers.elevenlabs import ElevenLabsProvider

pytestmark = live("ELEVENLABS_API_KEY", "ELEVENLABS_AGENT_ID")


async def test_it_answers():
    await one_answer(
        ElevenLabsProvider({"agent_id": os.environ["ELEVENLABS_AGENT_ID"]}),
        "Say hello, in one short sentence.",
    )
