"""One short conversation with the real Gemini Live."""

from __future__ import annotations

from tests.vendors.line import live, one_answer
from voxengine.providers.gemini.provider import GeminiProvider

pytestmark = live("GEMINI_API_KEY")


async def test_it_answers():
    await one_answer(GeminiProvider({"instructions": "Answer with one short sentence."}))
