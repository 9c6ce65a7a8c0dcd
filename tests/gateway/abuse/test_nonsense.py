"""Clients that send nonsense: each message is answered as OpenAI would, and the session goes on."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.gateway.abuse.nonsense import Nonsense
from tests.gateway.wire.talking import Talker, talking

N = 5000
SEEDS = range(10)
ROUTES = {
    "providers": {
        "one": {
            "provider": "mock",
            "metadata": {
                "latency_ms": 20,
                "mock_responses": {"*Hello*": {"tool": {"name": "weather", "arguments": {}}}},
            },
        }
    },
    "routes": {"play": {"providers": ["one"]}, "other": {"providers": ["mock/other"]}},
}


async def still_works(talker: Talker) -> None:
    """After all that, a question is answered."""
    talker.update(output_modalities=["text"], tools=[], tool_choice="auto", instructions="")
    for _ in range(50):
        done = len(talker.all("response.done"))
        talker.say("response.cancel")
        await asyncio.sleep(1)
        if len(talker.all("response.done")) == done:
            break
    content = [{"type": "input_text", "text": "Are you there?"}]
    item = {"type": "message", "role": "user", "content": content, "id": "item_last"}
    talker.say("conversation.item.create", item=item)
    talker.say("response.create", response={"output_modalities": ["text"]}, event_id="last")
    async with asyncio.timeout(120):
        while not any(
            "Are you there?" in str(event["response"]["output"])
            for event in talker.all("response.done")
        ):
            errors = [e for e in talker.all("error") if e["error"]["event_id"] == "last"]
            assert errors == []
            await asyncio.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
async def test_nonsense(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    nonsense = Nonsense(seed)
    chance = nonsense.random
    limits = {"messages_per_second": 1_000_000, "idle_timeout": 1e6}
    async with talking(content=ROUTES, gateway=limits) as talker:
        for n in range(N):
            message = nonsense.message()
            talker.session.on_message(message)
            if chance.random() < 0.1:
                await asyncio.sleep(chance.choice((0, 0, 0.01, 0.2)))
            broken = [r for r in caplog.records if r.levelno >= logging.ERROR]
            assert broken == [], (n, message, broken[0].getMessage(), broken[0].exc_info)
            assert talker.closed == [], (n, message)
        await still_works(talker)
        assert {e["code"] for e in talker.errors} & {"internal_error", "server_error"} == set()
