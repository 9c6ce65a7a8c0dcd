"""The emulator is honest: the vendor's own client understands it, and it refuses what the vendor would refuse."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import pytest

from tests.brains.chat_oracle import check_request
from tests.brains.chat_server import Answer, chunk, whole

GOOD = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ASKS = {"role": "assistant", "content": None, "tool_calls": [CALL]}


@pytest.mark.real_clock(leak_check=False)
@pytest.mark.skipif(
    importlib.util.find_spec("openai") is None, reason="needs the openai package, a judge only"
)
async def test_the_official_client_understands_it(server):
    openai: Any = importlib.import_module("openai")
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    server.answers = [
        Answer([*whole("Hello", " there.")[:-3], chunk({"tool_calls": [call]}), *whole()[1:]])
    ]
    async with openai.AsyncOpenAI(base_url=server.url, api_key="k", max_retries=0) as client:
        stream = await client.chat.completions.create(**GOOD)
        chunks = [c async for c in stream]
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Hello there."
    assert chunks[-1].usage.prompt_tokens == 12


def test_a_good_request():
    assert check_request(GOOD) is None
    assert (
        check_request(
            {**GOOD, "messages": [ASKS, {"role": "tool", "tool_call_id": "c", "content": ""}]}
        )
        is None
    )


@pytest.mark.parametrize(
    "change",
    [
        {"stream": False},
        {"model": None},
        {"messages": []},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "robot", "content": "x"}]},
        {"messages": [ASKS]},
        {"messages": [ASKS, {"role": "user", "content": "x"}]},
        {"messages": [{"role": "tool", "tool_call_id": "c", "content": ""}]},
        {"tools": []},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
    ],
)
def test_a_bad_request(change):
    assert check_request({**GOOD, **change}) is not None
