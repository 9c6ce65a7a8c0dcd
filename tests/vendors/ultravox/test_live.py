"""One short conversation with the real Ultravox."""

from __future__ import annotations

from tests.vendors.line import live, one_answer
from voxengine.providers.ultravox import UltravoxProvider

pytestmark = live("ULTRAVOX_API_KEY")


async def test_it_answers():
    await one_answer(UltravoxProvider({"instructions": "Answer with one short sentence."}))
