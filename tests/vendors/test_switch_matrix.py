"""From every provider to every other one and back again, in one call: nobody has to be told anything twice."""

from __future__ import annotations

from itertools import combinations

import pytest

from tests.vendors.vendors import NAMES, config_for, knows, need, ringing, running
from voxengine import events as ev

ROUNDS = ("the first is red", "the second is green", "the third is blue")


@pytest.mark.parametrize(("first", "second"), list(combinations(NAMES, 2)))
async def test_there_and_back(first: str, second: str):
    need(first, second)
    async with running(first) as here, running(second) as there, ringing(first, here) as call:
        said: list[tuple[str, str]] = []
        for words, (name, emulator) in zip(
            ROUNDS, ((first, here), (second, there), (first, here)), strict=True
        ):
            if said:
                await call.engine.switch_provider(name, config_for(name, emulator))
                assert call.engine.config.provider == name
            assert await call.ask(words) == f"You said: {words}", name
            known = knows(name, emulator, call)
            assert all(text in known for _, text in said), (name, known)
            said += [("user", words), ("assistant", f"You said: {words}")]
            assert call.log == said, name
        assert call.of(ev.ErrorGeneral) == []
        assert call.of(ev.ConnectionLost) == []
        assert len(call.of(ev.ProviderSwitched)) == 2
        call.check()
