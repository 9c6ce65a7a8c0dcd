"""The example of docs/brains.md works as the page says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.brains.helpers import ask, calls_of, first_call, text_of, users, with_result
from voxengine.providers.cascade.brains.openai_chat import _OPTIONS
from voxengine.providers.cascade.brains.scripted import ScriptedBrain
from voxengine.providers.cascade.parts import ToolSpec

PAGE = (Path(__file__).parents[2] / "docs" / "brains.md").read_text("utf-8")
RESERVE = ToolSpec("reserve", "", {"type": "object", "properties": {"people": {}, "note": {}}})


@pytest.fixture
def brain():
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    return ScriptedBrain("", {"script": tomllib.loads(example)})


async def test_the_example(brain):
    turn = users("Reserve a table for twenty-five people in the terrace")
    events = await ask(brain, turn, [RESERVE])
    assert text_of(events) == "One moment."
    assert calls_of(events) == [("reserve", {"people": 25, "note": "room: garden"})]
    told = with_result(turn, first_call(events), '{"time": "seven"}')
    assert (
        text_of(await ask(brain, told, [RESERVE])) == "A table for twenty-five is yours at seven."
    )
    assert text_of(await ask(brain, turn)) == "I would reserve for twenty-five, but I have no book."
    assert text_of(await ask(brain, users("My name is Marta."))) == "Nice to meet you, Marta."
    assert text_of(await ask(brain, [])) == "Hello, this is Luigi's."


def test_every_option_is_described():
    assert [name for name in _OPTIONS if f"`{name}`" not in PAGE] == []
