"""One short conversation with the real Voice Agent."""

from __future__ import annotations

from tests.vendors.line import live, one_answer
from voxengine.providers.assemblyai import AssemblyAIProvider

pytestmark = live("ASSEMBLYAI_API_KEY")


async def test_it_answers():
    await one_answer(AssemblyAIProvider({"instructions": "Answer with one short sentence."}))
