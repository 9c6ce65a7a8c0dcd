"""One short conversation with the real Nova Sonic."""

from __future__ import annotations

from tests.vendors.line import live, one_answer
from tests.vendors.nova.needs import needs_library
from voxengine.providers.nova import NovaProvider

pytestmark = [needs_library, *live("AWS_ACCESS_KEY_ID")]


async def test_it_answers():
    await one_answer(NovaProvider({"instructions": "Answer with one short sentence."}))
