"""What a client sees when another provider takes over, in the middle of an answer and of a call."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.emulators.wire import WEATHER, heard, of, types
from tests.gateway.gateways import Client
from tests.gateway.wire.talks import Event, Talk, talking
from voxengine import events as ev
from voxengine import register_provider
from voxengine.conversation import Conversation, Item
from voxengine.gateway.wire.functions import Functions
from voxengine.gateway.wire.outbox import Outbox
from voxengine.gateway.wire.plan import Plan
from voxengine.gateway.wire.response import Response
from voxengine.providers import registry
from voxengine.providers.mock import MockProvider

LONG = "one two three four five six seven eight nine ten eleven twelve"


def two(first: dict[str, Any], second: dict[str, Any], **route: Any) -> dict[str, Any]:
    return {
        "providers": {
            "a": {"provider": "mock", "metadata": first},
            "b": {"provider": "backup", "metadata": second},
        },
        "routes": {"play": {"providers": ["a", "b"], **route}},
    }


@pytest.fixture(autouse=True)
def _providers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    register_provider("backup", lambda config: MockProvider(config))


def check(log: list[Event]) -> None:
    """Each response and each item begins and ends exactly once, and nothing comes of one that has ended."""
    begun: dict[str, str] = {}
    for event in log:
        kind = event["type"]
        if kind == "response.created":
            assert event["response"]["id"] not in begun
            begun[event["response"]["id"]] = "begun"
        elif kind == "response.done":
            assert begun[event["response"]["id"]] == "begun"
            begun[event["response"]["id"]] = "done"
        elif "response_id" in event and kind.startswith("response."):
            assert begun[event["response_id"]] == "begun"
    assert set(begun.values()) <= {"done"}
    for kind in ("response.output_item.added", "response.output_item.done"):
        told = [e["item"]["id"] for e in of(log, kind)]
        assert len(told) == len(set(told))
    items = [e["item"]["id"] for e in of(log, "response.output_item.added")]
    assert sorted(items) == sorted(e["item"]["id"] for e in of(log, "response.output_item.done"))
    added = [e["item"]["id"] for e in of(log, "conversation.item.added")]
    assert len(added) == len(set(added))


@pytest.mark.parametrize("chunks", [0, 1, 3])
async def test_a_provider_that_is_lost_in_mid_answer_is_followed_by_another(chunks: int):
    drop = [f"drop:after_chunks={chunks}", "refuse:connect=2,times=0"]
    content = two(
        {"mock_responses": {"hello": LONG}, "faults": drop},
        {"mock_responses": {"hello": "Here I am."}, "default_response": "Here I am."},
    )
    async with talking(content) as talk:
        await talk.text("hello")
        await talk.send("response.create", response={"metadata": {"topic": "it"}})
        await talk.until("response.done")
        await talk.quiet(20)

        *lost, last = [e["response"] for e in of(talk.log, "response.done")]
        assert {r["status"] for r in lost} == {"failed"}
        assert last["status"] == "completed"
        assert {r["metadata"]["topic"] for r in (*lost, last)} == {"it"}
        assert heard([e for e in talk.log if e.get("response_id") == last["id"]]) == "Here I am."
        check(talk.log)
        ids = [i.id for i in talk.engine.conversation]
        known = [e["item"]["id"] for e in of(talk.log, "conversation.item.added")]
        gone = [e["item_id"] for e in of(talk.log, "conversation.item.deleted")]
        assert [i for i in known if i not in gone] == ids


@pytest.mark.parametrize("when", ["now", "after_response"])
async def test_a_switch_in_mid_answer_ends_it(when: str):
    content = two({"mock_responses": {"hello": LONG}}, {"default_response": "I am the other."})
    async with talking(content) as talk:
        await talk.text("hello")
        await talk.send("response.create")
        await talk.until("response.output_audio.delta")
        await asyncio.sleep(0.5)
        config = talk.engine.config.with_changes(metadata={"default_response": "I am the other."})
        await talk.engine.switch_provider("mock", config, when=when)  # type: ignore[arg-type]
        await talk.quiet(10)
        await talk.text("who is there")
        seen = await talk.respond()

        assert heard(seen) == "I am the other."
        check(talk.log)
        first = of(talk.log, "response.done")[0]["response"]
        assert first["status"] == ("cancelled" if when == "now" else "completed")


async def test_a_function_that_two_providers_ask_for_is_run_once():
    weather = {"tool": {"name": "weather", "arguments": {"city": "Ulm"}}}
    content = two(
        {"mock_responses": {"weather": weather}}, {"mock_responses": {"weather": weather}}
    )
    async with talking(content) as talk:
        await talk.update(tools=[WEATHER])
        await talk.say("weather", live=True)
        call = await talk.get("response.function_call_arguments.done")
        await talk.until("response.done")
        await talk.engine.switch_provider("mock", talk.engine.config)
        await talk.quiet(10)
        calls = of(talk.log, "response.function_call_arguments.done")
        assert len({c["call_id"] for c in calls}) == len(calls)

        await answer(talk, call["call_id"])
        seen = await talk.respond()
        assert heard(seen) == "The result is sunny."
        check(talk.log)


async def answer(talk: Talk, call_id: str) -> None:
    item = {"type": "function_call_output", "call_id": call_id, "output": "sunny"}
    await talk.send("conversation.item.create", item=item)
    assert "error" not in types(await talk.until("conversation.item.done", "error"))


async def test_a_call_that_the_client_is_at_is_not_told_again_by_another_response():
    functions, log = Functions(()), Conversation()
    functions.set([WEATHER])
    outbox = Outbox(Client())

    def told(call_id: str, response_id: str, arguments: str = '{"a": 1, "b": 2}') -> bool:
        item = Item(id=f"item_{call_id}", kind="function_call", call_id=call_id, turn_id="turn")
        event = ev.FunctionInvoked(call_id=call_id, name="weather", arguments=arguments)
        response = Response(response_id, Plan(), outbox, None)
        return functions.is_clients(event, item, response, log)

    assert told("call_1", "resp_1")
    assert told("call_2", "resp_1")  # twice in one response is meant so
    assert not told("call_3", "resp_2", '{"b": 2, "a": 1}')
    assert told("call_4", "resp_2", '{"a": 2}')
    for call_id in ("call_1", "call_2", "call_3"):
        log.add(Item(id=f"out_{call_id}", kind="function_output", call_id=call_id))
    assert told("call_5", "resp_3")
    assert not functions.is_clients(
        ev.FunctionInvoked(call_id="x", name="clock"),
        Item(id="x"),
        Response("resp_4", Plan(), outbox, None),
        log,
    )
