"""Claude as the brain of a cascade: ours, and the vendor's own client, against the emulator of the Messages API."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cascade.fakes import Call
from voxengine import events as ev
from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    MessageError,
    MissingDependencyError,
    ProviderError,
    RateLimitError,
)
from voxengine.providers.anthropic.answer import Answer
from voxengine.providers.anthropic.llm import AnthropicBrain
from voxengine.providers.anthropic.request import Thoughts, cached, messages_of, system_of
from voxengine.providers.cascade.parts import (
    Brain,
    BrainEvent,
    BrainText,
    BrainToolCall,
    BrainUsage,
    Message,
    ToolCall,
    ToolSpec,
)
from voxengine.providers.cascade.registry import create_part
from voxengine.session.prices import price
from voxengine.testing.emulators.anthropic import AnthropicEmulator
from voxengine.testing.emulators.faults import (
    Drop,
    ErrorOnce,
    Malformed,
    Refuse,
    Slow,
    Stall,
    UnknownEvent,
)
from voxengine.testing.oracles.anthropic import anthropic_judge

pytest.importorskip("anthropic")

KEY = "sk-ant-" + "7" * 20
MODEL = "claude-haiku-5-5"
LOOK_UP = ToolSpec(
    "look_up",
    "finds an order",
    {"type": "object", "properties": {"order": {"type": "integer"}}, "required": ["order"]},
)
ORDERS = {
    "Two orders?": {
        "text": "One moment.",
        "tools": [
            {"name": "look_up", "arguments": {"order": 7}},
            {"name": "look_up", "arguments": {"order": 8}},
        ],
        "then": "They said {output}.",
    }
}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


#: Those of one test, to be closed after it.
made: list[AnthropicBrain] = []


@asynccontextmanager
async def vendor(*arguments: Any, **settings: Any) -> AsyncIterator[AnthropicEmulator]:
    async with AnthropicEmulator(*arguments, key=KEY, **settings) as emulator:
        try:
            yield emulator
        finally:
            while made:
                await made.pop().close()


@pytest.fixture
async def claude() -> AsyncIterator[AnthropicEmulator]:
    async with vendor(ORDERS) as emulator:
        yield emulator


def brain(emulator: AnthropicEmulator, model: str = MODEL, **options: Any) -> AnthropicBrain:
    made.append(AnthropicBrain(model, {"api_key": KEY, **emulator.metadata, **options}))
    return made[-1]


def user(text: str) -> list[Message]:
    return [Message("system", "Be brief."), Message("user", text)]


async def asked(
    one: AnthropicBrain,
    messages: Sequence[Message],
    tools: Sequence[ToolSpec] = (),
    **settings: Any,
) -> list[BrainEvent]:
    return [event async for event in one.reply(messages, tools, session="call", **settings)]


def text_of(events: Sequence[BrainEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, BrainText))


def calls_of(events: Sequence[BrainEvent]) -> list[ToolCall]:
    return [event.call for event in events if isinstance(event, BrainToolCall)]


def usage_of(events: Sequence[BrainEvent]) -> BrainUsage:
    (usage,) = [event for event in events if isinstance(event, BrainUsage)]
    return usage


# -- the request


def request(messages: Sequence[Message], thoughts: Thoughts | None = None) -> list[dict[str, Any]]:
    """The messages, after they were judged."""
    turns = messages_of(messages, thoughts or Thoughts())
    body = {"model": MODEL, "max_tokens": 9, "stream": True, "messages": turns}
    if system := system_of(messages):
        body["system"] = system
    assert anthropic_judge().client(cached(body)) == []
    return turns


def shape(turns: Sequence[dict[str, Any]]) -> list[Any]:
    return [(t["role"], [b.get("text") or b["type"] for b in t["content"]]) for t in turns]


def test_a_conversation_by_turns() -> None:
    told = [
        Message("system", "Be brief."),
        Message("system", " "),
        Message("user", "One."),
        Message("user", "Two."),
        Message("assistant", "Three. "),
        Message("assistant", ""),
        Message("system", "The user is logged in."),
        Message("user", "Four."),
    ]
    assert system_of(told) == [{"type": "text", "text": "Be brief."}]
    note = "[Note to the assistant, not said by the user] The user is logged in."
    assert shape(request(told)) == [
        ("user", ["One.", "Two."]),
        ("assistant", ["Three."]),
        ("user", [note, "Four."]),
    ]


def test_it_begins_and_ends_with_the_user() -> None:
    nothing = "(nothing was said)"
    assert shape(request([])) == [("user", ["(the conversation begins)"])]
    assert shape(request([Message("system", "x"), Message("assistant", "Hello.")])) == [
        ("user", ["(the conversation begins)"]),
        ("assistant", ["Hello."]),
        ("user", [nothing]),
    ]


def test_results_follow_their_calls() -> None:
    one, two = ToolCall("call/1", "a", '{"n": 1}'), ToolCall("c2", "b", "no json")
    told = [
        Message("user", "Go."),
        Message("assistant", "Wait.", tool_calls=(one, two)),
        Message("user", "Hurry!"),
        Message("tool", "done", call_id="call/1"),
        Message("tool", "lost", call_id="of another time"),
        Message("assistant", tool_calls=(ToolCall("c3", "a", ""),)),
        Message("tool", "", call_id="c3"),
    ]
    turns = request(told)
    assert turns[1]["content"] == [
        {"type": "text", "text": "Wait."},
        {"type": "tool_use", "id": "call_1", "name": "a", "input": {"n": 1}},
        {"type": "tool_use", "id": "c2", "name": "b", "input": {"arguments": "no json"}},
    ]
    assert turns[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "call_1", "content": "done"},
        {
            "type": "tool_result",
            "tool_use_id": "c2",
            "content": "cancelled before it gave a result",
            "is_error": True,
        },
        {"type": "text", "text": "Hurry!"},
    ]
    assert [block["content"] for block in turns[4]["content"]] == ["(no result)"]


def marks(body: dict[str, Any]) -> list[str]:
    found = [f"{name}" for name in ("tools", "system") if "cache_control" in str(body.get(name))]
    turns = body["messages"]
    return found + [str(n) for n, turn in enumerate(turns) if "cache_control" in str(turn)]


def test_what_the_vendor_is_to_remember() -> None:
    first = {"role": "user", "content": [{"type": "text", "text": "One."}]}
    answer = {"role": "assistant", "content": [{"type": "text", "text": "Two."}]}
    result = {"type": "tool_result", "tool_use_id": "t", "content": "x"}
    results = {"role": "user", "content": [result]}
    system, tools = [{"type": "text", "text": "x"}], [{"name": "a"}]
    assert marks(cached({"messages": [first]})) == []
    assert marks(cached({"system": system, "tools": tools, "messages": [first]})) == ["system"]
    assert marks(cached({"tools": tools, "messages": [first]})) == ["tools"]
    assert marks(cached({"messages": [first, answer, first]})) == ["1"]
    assert marks(cached({"messages": [first, answer, results]})) == ["2"]
    # What is given is not changed.
    assert "cache_control" not in str((first, answer, results, system, tools))


@pytest.mark.parametrize(
    "change",
    [
        {"mood": "sunny"},
        {"max_tokens": "9"},
        {"temperature": "hot"},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "mood": 1}]}]},
        {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "name": "a"}]}]},
        {"system": [{"type": "text", "text": "x", "cache_control": {"type": "eternal"}}]},
        {"tools": [{"name": "a", "schema": {}}]},
        {"thinking": {"type": "enabled"}},
    ],
)
def test_the_judge_sees_what_is_wrong(change: dict[str, Any]) -> None:
    good = {"model": MODEL, "max_tokens": 9, "stream": True, "messages": []}
    judge = anthropic_judge()
    assert judge.client(good) == []
    assert judge.client({**good, **change})
    assert judge.violations
    assert judge.client(b"[]")
    assert judge.client(b"{")
    assert judge.server({"type": "message_stop", "mood": 1})
    assert judge.server({"type": "mood"}) == ["type: unknown"]


# -- the answer


async def test_it_answers_word_by_word(claude: AnthropicEmulator) -> None:
    one = brain(claude)
    assert isinstance(one, Brain)
    events = await asked(one, user("How are you today?"))
    texts = [event.text for event in events if isinstance(event, BrainText)]
    assert len(texts) > 3
    assert "".join(texts) == "You said: How are you today?"
    usage = usage_of(events)
    assert usage.model == MODEL
    assert usage.input_tokens > 0
    assert usage.output_tokens > 0
    (sent,) = claude.requests
    assert sent["max_tokens"] == 1024
    assert sent["stream"] is True
    assert "thinking" not in sent


async def test_several_tools_at_once(claude: AnthropicEmulator) -> None:
    one = brain(claude)
    talk = user("Two orders?")
    events = await asked(one, talk, [LOOK_UP])
    assert text_of(events) == "One moment."
    calls = calls_of(events)
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [
        ("look_up", {"order": 7}),
        ("look_up", {"order": 8}),
    ]
    talk.append(Message("assistant", "One moment.", tool_calls=tuple(calls)))
    talk += [Message("tool", f"shipped {n}", call_id=c.call_id) for n, c in enumerate(calls)]
    assert text_of(await asked(one, talk, [LOOK_UP])) == "They said shipped 0, shipped 1."
    assert claude.requests[0]["tools"][0]["input_schema"] == LOOK_UP.parameters


async def test_thoughts_are_never_said_and_given_back() -> None:
    async with vendor(ORDERS, thoughts="Hmm, orders.") as claude:
        one = brain(claude, thinking="adaptive", effort="low")
        talk = user("Two orders?")
        events = await asked(one, talk, [LOOK_UP])
        assert text_of(events) == "One moment."
        calls = calls_of(events)
        talk.append(Message("assistant", "One moment.", tool_calls=tuple(calls)))
        talk += [Message("tool", "ok", call_id=call.call_id) for call in calls]
        assert text_of(await asked(one, talk, [LOOK_UP])) == "They said ok, ok."
        first, second = claude.requests
        assert first["thinking"] == {"type": "adaptive"}
        assert first["output_config"] == {"effort": "low"}
        assert second["messages"][1]["content"][0] == {
            "type": "thinking",
            "thinking": "Hmm, orders.",
            "signature": "signed1==",
        }
        assert claude.judge.server_seen["content_block_delta"] > 4


async def test_a_conversation_is_read_from_the_cache() -> None:
    async with vendor(cache_minimum=20) as claude:
        system = Message("system", "You are the voice of a very large shop. " * 10)
        talk = [system]
        for cache, reads in ((True, [False, True, True]), (False, [False, False, False])):
            one = brain(claude, cache=cache)
            claude.model.cache._known.clear()
            talk, usages = [system], []
            for text in ("What do you sell?", "And what does it cost?", "Thank you."):
                talk.append(Message("user", text))
                events = await asked(one, talk)
                talk.append(Message("assistant", text_of(events)))
                usages.append(usage_of(events))
            assert [usage.cached_tokens > 0 for usage in usages] == reads
            # What was read from the cache is part of the input, as everywhere here.
            assert all(usage.input_tokens > usage.cached_tokens for usage in usages)
            if cache:
                # More each time: the answers before are remembered, too.
                assert usages[2].cached_tokens > usages[1].cached_tokens > 80


def test_what_it_costs_is_known() -> None:
    used = ev.UsageUpdated(
        model=MODEL,
        provider="cascade",
        input_text_tokens=1_000_000,
        cached_text_tokens=400_000,
        output_text_tokens=100_000,
    )
    plain = ev.UsageUpdated(model=MODEL, provider="cascade", input_text_tokens=1_000_000)
    cost, without = price(used), price(plain)
    assert cost is not None
    assert without is not None
    assert 0 < cost.input < without.input
    assert cost.output > 0


async def test_settings_of_the_request(claude: AnthropicEmulator) -> None:
    one = brain(
        claude,
        "claude-haiku-4-5",
        max_tokens=64,
        temperature=0.5,
        thinking={"type": "disabled"},
        extra={"stop_sequences": ["END"], "top_k": 5},
    )
    await asked(one, user("hello"))
    await asked(one, user("hello"), temperature=0.1)
    first, second = claude.requests
    assert (first["max_tokens"], first["temperature"], first["top_k"]) == (64, 0.5, 5)
    assert first["stop_sequences"] == ["END"]
    assert first["thinking"] == {"type": "disabled"}
    assert second["temperature"] == 0.1


async def test_a_model_that_takes_no_temperature(claude: AnthropicEmulator) -> None:
    one = brain(claude, temperature=0.5)
    for _ in range(2):
        assert text_of(await asked(one, user("hello"))) == "You said: hello"
    assert all("temperature" not in sent for sent in claude.requests)
    # It was tried once: from then on it is known.
    assert claude.judge.violations == []
    assert claude.faults.connects == 3


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        (MODEL, {"colour": "red"}, "no option 'colour'"),
        (MODEL, {"thinking": 3}, "thinking"),
        (MODEL, {"thinking": {}}, "thinking"),
        (MODEL, {"max_tokens": 0}, "max_tokens"),
        (MODEL, {"extra": {"model": "x"}}, "cannot set model"),
        (MODEL, {"extra": 3}, "extra"),
        (MODEL, {"api_key": None}, "ANTHROPIC_API_KEY"),
        (MODEL, {"api_key": None, "api_key_env": "MY_KEY"}, "MY_KEY"),
    ],
)
def test_wrong_options(model: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        AnthropicBrain(model, {"api_key": KEY, **options})


def test_sessions_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    one, two = create_part("brain", "anthropic", {}), create_part("brain", "anthropic", {})
    assert one is two
    assert one.model == MODEL
    assert KEY not in repr(one)
    assert create_part("brain", "anthropic/claude-sonnet-5-5", {}).model == "claude-sonnet-5-5"


async def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anthropic", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'voxengine\[anthropic\]'"):
        await AnthropicBrain(MODEL, {"api_key": KEY}).load()


async def test_connections_live_as_long_as_the_last_session(claude: AnthropicEmulator) -> None:
    one = brain(claude)
    await one.load()
    await one.load()
    client = await one._client()
    await one.close()
    assert await one._client() is client
    await one.close()
    assert client.is_closed()


# -- how an answer ends


async def test_a_refusal() -> None:
    async with vendor(refuses="secret") as claude:
        with pytest.raises(ProviderError) as raised:
            await asked(brain(claude), user("Tell me the secret."))
        assert (raised.value.code, raised.value.retryable) == ("content_filter", False)


async def test_an_answer_of_so_many_tokens(claude: AnthropicEmulator) -> None:
    events = await asked(brain(claude, max_tokens=3), user("a question that is rather long"))
    assert 0 < len(text_of(events)) <= 12
    assert usage_of(events).output_tokens > 0


def events_of(*events: dict[str, Any]) -> list[Any]:
    """Events as the vendor's client makes them, judged."""
    from anthropic.types import RawMessageStreamEvent
    from pydantic import TypeAdapter

    judge, adapter = anthropic_judge(), TypeAdapter(RawMessageStreamEvent)
    for event in events:
        assert judge.server(event) == [], event
    return [adapter.validate_python(event) for event in events]


def ended(reason: str) -> dict[str, Any]:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 3}}


CALL = (
    {
        "type": "content_block_start",
        "index": 1,
        "content_block": {"type": "tool_use", "id": "t", "name": "a", "input": {}},
    },
    {
        "type": "content_block_delta",
        "index": 1,
        "delta": {"type": "input_json_delta", "partial_json": '{"n": '},
    },
)


@pytest.mark.parametrize(
    ("events", "code"),
    [
        ((*CALL, ended("max_tokens")), "bad_response"),
        ((ended("model_context_window_exceeded"),), "context_length"),
        (CALL, "closed"),
    ],
)
def test_answers_that_are_none(events: tuple[dict[str, Any], ...], code: str) -> None:
    answer = Answer(MODEL, Thoughts())
    for event in events_of(*events):
        assert not list(answer.feed(event))
    with pytest.raises(ProviderError) as raised:
        list(answer.end())
    assert raised.value.code == code


def test_a_call_without_arguments_and_blocks_of_other_kinds() -> None:
    answer = Answer(MODEL, Thoughts())
    thought = {"type": "redacted_thinking", "data": "xyz"}
    start = {"type": "content_block_start", "index": 0, "content_block": thought}
    stop = {"type": "content_block_stop", "index": 1}
    for event in events_of(start, CALL[0], stop, ended("tool_use"), {"type": "message_stop"}):
        assert not list(answer.feed(event))
    assert not list(answer.feed(SimpleNamespace(type="mood_changed")))
    assert answer.done
    usage, call = answer.end()
    assert isinstance(usage, BrainUsage)
    assert call == BrainToolCall(ToolCall("t", "a", "{}"))


# -- trouble


@pytest.mark.parametrize(
    ("code", "error", "ours", "retryable"),
    [
        ("auth", AuthenticationError, "auth", False),
        ("forbidden", AuthenticationError, "auth", False),
        ("rate_limit", RateLimitError, "rate_limit", True),
        ("quota", RateLimitError, "quota", False),
        ("server_error", ProviderError, "server_error", True),
        ("overloaded", ProviderError, "overloaded", True),
        ("not_found", ProviderError, "model_not_found", False),
        ("refused", ConnectionError, "closed", True),
    ],
)
async def test_it_is_refused(code: str, error: type[Exception], ours: str, retryable: bool) -> None:
    async with vendor(faults=Refuse(code, times=2)) as claude:
        with pytest.raises(error) as raised:
            await asked(brain(claude), user("hello"))
        failure: Any = raised.value
        assert (failure.code, failure.retryable) == (ours, retryable)
        assert KEY not in str(failure)
        if code == "rate_limit":
            assert failure.retry_after == 3.0


async def test_the_key_is_looked_at_before_the_first_turn(claude: AnthropicEmulator) -> None:
    wrong = "sk-ant-" + "6" * 20
    with pytest.raises(AuthenticationError) as raised:
        await brain(claude, api_key=wrong).load()
    assert wrong not in str(raised.value)
    for one in (brain(claude, api_key=wrong, warm_up=False), brain(claude)):
        await one.load()


async def test_nobody_is_there() -> None:
    async with vendor() as claude:
        one = brain(claude)
        await claude.refuse()
        for what in (one.load(), asked(one, user("hello"))):
            with pytest.raises(ConnectionError) as raised:
                await what
            assert raised.value.code == "refused"


async def test_one_lost_connection_is_not_told(claude: AnthropicEmulator) -> None:
    claude.faults.add(Refuse("refused"))
    assert text_of(await asked(brain(claude), user("hello"))) == "You said: hello"


@pytest.mark.parametrize(
    ("fault", "code", "retryable"),
    [
        (ErrorOnce("overloaded", after_chunks=2), "overloaded", True),
        (ErrorOnce("rate_limit", after_chunks=1), "rate_limit", True),
        (ErrorOnce(after_chunks=1), "server_error", True),
        (Drop(after_chunks=2), "closed", True),
        (Malformed(after_chunks=1), "bad_response", False),
        (Stall(60, after_chunks=1), "timeout", True),
        (Stall(60, after_chunks=0), "timeout", True),
    ],
)
async def test_it_breaks_in_the_middle(fault: Any, code: str, retryable: bool) -> None:
    async with vendor(faults=fault) as claude:
        one = brain(claude, timeout_s=5)
        said: list[BrainEvent] = []

        async def listen() -> None:
            async for event in one.reply(user("one two three"), (), session="call"):
                said.append(event)  # noqa: PERF401 - what came before it broke counts

        with pytest.raises(ProviderError) as raised:
            await listen()
        assert (raised.value.code, raised.value.retryable) == (code, retryable)
        assert len(said) == (fault.after_chunks or 0)
        # The next answer is a whole one.
        assert text_of(await asked(one, user("again"))) == "You said: again"


async def test_slow_answers_and_unknown_events_are_fine() -> None:
    faults = [Slow(50.0, after_chunks=0), UnknownEvent(after_chunks=1)]
    async with vendor(faults=faults) as claude:
        one = brain(claude, timeout_s=2)
        assert text_of(await asked(one, user("hello there"))) == "You said: hello there"


async def test_an_error_of_the_request(claude: AnthropicEmulator) -> None:
    with pytest.raises(ProviderError) as raised:
        await asked(brain(claude, "claude-nobody"), user("hello"))
    assert raised.value.code == "model_not_found"
    with pytest.raises(MessageError) as bad:
        await asked(brain(claude, extra={"mood": 1}), user("hello"))
    assert bad.value.code == "bad_request"


async def test_an_interruption_closes_the_request(claude: AnthropicEmulator) -> None:
    source = brain(claude).reply(user("a rather long question to repeat"), (), session="call")
    await anext(source)
    assert claude.model.open == 1
    await source.aclose()
    await asyncio.sleep(0.5)
    assert claude.model.open == 0


# -- in a cascade


async def test_in_a_cascade_with_a_tool(claude: AnthropicEmulator) -> None:
    metadata = {
        "llm": f"anthropic/{MODEL}",
        "llm_options": {"api_key": KEY, **claude.metadata},
    }
    tools = [{"type": "function", **_plain(LOOK_UP)}]
    config: dict[str, Any] = {
        "tools": tools,
        "instructions": "Be brief.",
        "max_response_tokens": 99,
    }
    async with Call(metadata=metadata, **config) as call:
        await call.provider.send_text("Two orders?")
        await asyncio.sleep(3)
        called = call.all(ev.FunctionInvoked)
        assert len(called) == 2
        for event in called:
            await call.provider.send_tool_result(event.call_id, "shipped")
        await asyncio.sleep(5)
        assert call.spoken().endswith("They said shipped, shipped.")
        used = [event for event in call.all(ev.UsageUpdated) if event.model == MODEL]
        assert used
        assert all(price(event) is not None for event in used)
    assert claude.requests[0]["max_tokens"] == 99
    assert claude.requests[0]["system"][0]["text"].startswith("Be brief.")


def _plain(tool: ToolSpec) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "parameters": tool.parameters}


# -- the vendor's own client, and none


async def test_the_official_client_streams(claude: AnthropicEmulator) -> None:
    from anthropic import AsyncAnthropic

    async with AsyncAnthropic(api_key=KEY, base_url=claude.http_url, max_retries=0) as client:
        tools: Any = [{"name": "look_up", "input_schema": {"type": "object"}}]
        messages: Any = [{"role": "user", "content": "Two orders?"}]
        async with client.messages.stream(
            model=MODEL, max_tokens=100, messages=messages, tools=tools
        ) as stream:
            said = [text async for text in stream.text_stream]
            message = await stream.get_final_message()
        assert "".join(said) == "One moment."
        assert message.stop_reason == "tool_use"
        uses = [block for block in message.content if block.type == "tool_use"]
        assert [use.input for use in uses] == [{"order": 7}, {"order": 8}]
        results = [
            {"type": "tool_result", "tool_use_id": use.id, "content": "shipped"} for use in uses
        ]
        messages += [message.to_param(), {"role": "user", "content": results}]
        whole = await client.messages.create(
            model=MODEL, max_tokens=100, messages=messages, tools=tools
        )
        assert whole.content[0].type == "text"
        assert whole.content[0].text == "They said shipped, shipped."
        assert (await client.models.list()).data[0].id == MODEL


async def test_the_official_client_sees_errors(claude: AnthropicEmulator) -> None:
    import anthropic

    messages: Any = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]
    async with anthropic.AsyncAnthropic(
        api_key=KEY, base_url=claude.http_url, max_retries=0
    ) as client:
        with pytest.raises(anthropic.BadRequestError, match="prefill"):
            await client.messages.create(model=MODEL, max_tokens=9, messages=messages)
        claude.faults.add(Refuse("overloaded"))
        with pytest.raises(anthropic.APIStatusError) as raised:
            await client.messages.create(model=MODEL, max_tokens=9, messages=messages[:1])
        assert raised.value.status_code == 529


async def test_over_plain_http(claude: AnthropicEmulator) -> None:
    import httpx

    body = {
        "model": MODEL,
        "max_tokens": 50,
        "stream": True,
        "messages": [{"role": "user", "content": "hello"}],
    }
    headers = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
    async with httpx.AsyncClient(base_url=claude.http_url, headers=headers) as http:
        answer = await http.post("/v1/messages", json=body)
        kinds = [line[7:] for line in answer.text.splitlines() if line.startswith("event: ")]
        assert kinds[:3] == ["message_start", "ping", "content_block_start"]
        assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
        wrong = await http.post("/v1/messages", json={**body, "mood": 1})
        assert wrong.status_code == 400
        assert wrong.json()["error"]["type"] == "invalid_request_error"
        assert (await http.get("/v1/other")).status_code == 404
        del http.headers["anthropic-version"]
        assert (await http.post("/v1/messages", json=body)).status_code == 400
        http.headers["x-api-key"] = "wrong"
        assert (await http.post("/v1/messages", json=body)).status_code == 401
