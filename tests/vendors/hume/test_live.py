"""One short conversation with the real EVI."""

from __future__ import annotations

from tests.vendors.line import live, one_answer
from voxengine.providers.hume import HumeProvider

pytestmark = live("HUME_API_KEY")


async def test_it_answers():
    await one_answer(HumeProvider({"instructions": "Answer with one short sentence."}))
