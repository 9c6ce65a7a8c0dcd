"""The chat brain against a real HTTP server on loopback, good and bad."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import traceback
from contextlib import aclosing
from typing import Any

import pytest

from tests.brains.chat_server import (
    DONE,
    DROP,
    STALL,
    STOP,
    Answer,
    chunk,
    error,
    event,
    said,
    whole,
)
from tests.brains.helpers import MOVE, ask, calls_of, text_of, users, with_result
from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    MessageError,
    MissingDependencyError,
    ProviderError,
    RateLimitError,
)
from voxengine.providers.cascade.brains import chat_http, openai_chat
from voxengine.providers.cascade.brains.openai_chat import OpenAIChatBrain
from voxengine.providers.cascade.parts import (
    Brain,
    BrainText,
    BrainToolCall,
    BrainUsage,
    Message,
    ToolCall,
)

pytestmark = pytest.mark.real_clock


async def test_streams_text_and_usage(server, make_brain):
    brain = make_brain(api_key="sk-secret-1", temperature=0.5, max_tokens=50, extra={"seed": 7})
    assert isinstance(brain, Brain)
    events = await ask(brain, [Message("system", "Be brief."), *users("Hi")], [MOVE])
    assert events == [
        BrainText("Hello"),
        BrainText(" there."),
        BrainUsage("judge-1", input_tokens=12, cached_tokens=4, output_tokens=3),
    ]
    request = server.requests[-1]
    assert request.headers["authorization"] == "Bearer sk-secret-1"
    assert request.body["temperature"] == 0.5
    assert request.body["max_tokens"] == 50
    assert request.body["seed"] == 7
    assert request.body["stream_options"] == {"include_usage": True}
    assert request.body["tools"][0]["function"]["name"] == "move"
    assert request.body["messages"][0] == {"role": "system", "content": "Be brief."}


async def test_the_first_piece_comes_before_the_last_is_sent(server, make_brain):
    server.answers = [Answer([*said("Hello"), STALL])]
    async with aclosing(make_brain().reply(users("Hi"), [], session="s")) as events:
        assert await anext(events) == BrainText("Hello")
        assert not server.gone.is_set()
    # Closing the iterator closes the request.
    await asyncio.wait_for(server.gone.wait(), 2)


async def test_cancelling_the_consumer_closes_the_request(server, make_brain):
    server.answers = [Answer(instead=STALL)]
    task = asyncio.create_task(ask(make_brain(), users("Hi")))
    await asyncio.wait_for(server.asked.wait(), 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(server.gone.wait(), 2)


def call_delta(index=None, call_id=None, name=None, arguments=None):
    function = {k: v for k, v in (("name", name), ("arguments", arguments)) if v is not None}
    delta = {"index": index, "id": call_id, "type": "function", "function": function}
    return {"tool_calls": [{k: v for k, v in delta.items() if v is not None}]}


async def test_tool_calls_in_pieces_and_interleaved(server, make_brain):
    server.answers = [
        Answer(
            [
                *said("One moment."),
                chunk(call_delta(0, "call_a", "move", '{"direc')),
                chunk(call_delta(1, "call_b", "look", "")),
                chunk(call_delta(0, arguments='tion": "left", ')),
                chunk(call_delta(1, arguments='{"far": true}')),
                chunk(call_delta(0, arguments='"distance": 2}')),
                chunk({}, "tool_calls"),
                DONE,
            ]
        )
    ]
    events = await ask(make_brain(), users("left"), [MOVE])
    assert events == [
        BrainText("One moment."),
        BrainToolCall(ToolCall("call_a", "move", '{"direction": "left", "distance": 2}')),
        BrainToolCall(ToolCall("call_b", "look", '{"far": true}')),
    ]


async def test_tool_calls_of_servers_that_differ(server, make_brain):
    """No index (some Gemini gateways), no id, the name in every piece, arguments as an object, none at all."""
    pieces = [
        {"tool_calls": [{"id": "x", "function": {"name": "move", "arguments": {"distance": 1}}}]},
        {"tool_calls": [{"function": {"name": "look", "arguments": ""}}]},
        {"tool_calls": [{"index": 7, "function": {"name": "stop"}}]},
        {"tool_calls": [{"index": 7, "function": {"name": "stop", "arguments": "{}"}}]},
    ]
    body = [event(json.dumps({"choices": [{"delta": p}]})) for p in pieces]
    server.answers = [Answer([*body, STOP, DONE])]
    events = await ask(make_brain(), users("go"), [MOVE])
    assert calls_of(events) == [("move", {"distance": 1}), ("look", {}), ("stop", {})]
    ids = [e.call.call_id for e in events if isinstance(e, BrainToolCall)]
    assert ids[0] == "x"
    assert len(set(ids)) == 3
    assert all(ids)


async def test_history_with_tools_is_accepted(server, make_brain):
    call, lost = ToolCall("c1", "move", "{}"), ToolCall("c2", "move", "")
    history = [
        Message("tool", "an orphan", call_id="c0"),
        *users("go"),
        Message("assistant", "", tool_calls=(call, lost)),
        *users("and stop"),
        Message("tool", '{"ok": true}', call_id="c1"),
        Message("assistant", "   "),
        *users("now?"),
    ]
    await ask(make_brain(), history, [MOVE])
    roles = [m["role"] for m in server.requests[-1].body["messages"]]
    assert roles == ["user", "assistant", "tool", "tool", "user", "user"]


async def test_thoughts_are_never_spoken(server, make_brain):
    body = [
        chunk({"role": "assistant", "content": "", "reasoning_content": "The user greets."}),
        chunk({"reasoning": "Should I answer?"}),
        *said("<thi", "nk>Hm. 2 < 3", "</thin", "k>\n\n", "Hello", " <b", "r> you."),
    ]
    server.answers = [Answer([*body, STOP, DONE])]
    assert text_of(await ask(make_brain(), users("Hi"))) == "Hello <br> you."


async def test_content_in_parts(server, make_brain):
    parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Hello"}]
    server.answers = [
        Answer([event(json.dumps({"choices": [{"delta": {"content": parts}}]})), STOP, DONE])
    ]
    assert text_of(await ask(make_brain(), users("Hi"))) == "Hello"


SECRET = "sk-secret-12345678"
HTML = Answer([b"<html><head><title>502 Bad Gateway</title></head></html>"], kind="text/html")
FAULTS: dict[str, tuple[Answer, type[ProviderError], str, bool]] = {
    "slow head": (Answer(instead=STALL), ProviderError, "timeout", True),
    "slow first token": (
        Answer([chunk({"role": "assistant"}), STALL]),
        ProviderError,
        "timeout",
        True,
    ),
    "signs of life only": (
        Answer([b": ping\n\n", chunk({"content": ""}), 0.01] * 50),
        ProviderError,
        "timeout",
        True,
    ),
    "stall in the middle": (Answer([*said("Hel"), STALL]), ProviderError, "timeout", True),
    "closed at once, twice": (Answer(instead=DROP), ConnectionError, "closed", True),
    "html": (HTML, MessageError, "bad_response", False),
    "json": (Answer([b'{"id": 1}'], kind="application/json"), MessageError, "bad_response", False),
    "garbage": (Answer([event("{not json")]), MessageError, "bad_response", False),
    "binary": (
        Answer([event("x").replace(b"x", b"\xff\xfe")]),
        MessageError,
        "bad_response",
        False,
    ),
    "wrong type": (Answer([event('{"choices": "no"}')]), MessageError, "bad_response", False),
    "no chunk": (Answer([event('{"hello": 1}')]), MessageError, "bad_response", False),
    "truncated": (Answer(said("Hel", "lo")), MessageError, "bad_response", True),
    "truncated event": (Answer([*said("Hel"), STOP[:-9]]), MessageError, "bad_response", False),
    "dropped": (Answer([*said("Hel"), DROP]), MessageError, "bad_response", True),
    "empty": (Answer([]), MessageError, "bad_response", True),
    "huge line": (
        Answer([b"data: ", *[b"x" * 100_000] * 12, STALL]),
        MessageError,
        "bad_response",
        False,
    ),
    "huge event": (
        Answer([b"data: " + b"x" * 100_000 + b"\n"] * 12),
        MessageError,
        "bad_response",
        False,
    ),
    "cut call": (
        Answer([chunk(call_delta(0, "c", "move", '{"a')), chunk({}, "length"), DONE]),
        MessageError,
        "bad_response",
        False,
    ),
    "many calls": (
        Answer([chunk(call_delta(i, f"c{i}", "move", "{}")) for i in range(200)]),
        MessageError,
        "bad_response",
        False,
    ),
    "nameless call": (
        Answer([chunk(call_delta(0, "c", None, "{}")), STOP]),
        MessageError,
        "bad_response",
        False,
    ),
    "filtered": (
        Answer([*said("I"), chunk({}, "content_filter")]),
        ProviderError,
        "content_filter",
        False,
    ),
    "401": (error(401, f"Incorrect API key {SECRET}"), AuthenticationError, "auth", False),
    "403": (error(403, "Not for you"), AuthenticationError, "auth", False),
    "404": (error(404, "model 'judge-1' not found"), ProviderError, "model_not_found", False),
    "429": (error(429, "Too fast", retry_after="7"), RateLimitError, "rate_limit", True),
    "quota": (error(429, "You exceeded your current quota"), RateLimitError, "quota", False),
    "400": (error(400, "Nonsense"), MessageError, "bad_request", False),
    "context": (error(400, "exceeds the context size"), MessageError, "context_length", False),
    "500": (error(500, "Oops"), ProviderError, "server_error", True),
    "503 in html": (
        Answer([b"<h1>Loading</h1>"], status=503, kind="text/html"),
        ProviderError,
        "server_error",
        True,
    ),
    "error body that stalls": (
        Answer([b"{", STALL], status=500),
        ProviderError,
        "server_error",
        True,
    ),
    "redirect": (
        Answer([], status=302, headers={"location": "/login"}),
        MessageError,
        "bad_response",
        False,
    ),
    "error in the stream": (
        Answer([*said("Hel"), event('{"error": {"message": "out of memory", "code": 500}}')]),
        ProviderError,
        "server_error",
        True,
    ),
    "limit in the stream": (
        Answer([event('{"error": {"message": "slow down", "type": "rate_limit_exceeded"}}')]),
        RateLimitError,
        "rate_limit",
        True,
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_faults(server, make_brain, monkeypatch, fault):
    answer, kind, code, retryable = FAULTS[fault]
    server.answers = [answer]
    monkeypatch.setattr(chat_http, "_ERROR_WAIT", 0.03)
    slow = code == "timeout"
    later = fault == "stall in the middle"
    brain = make_brain(
        timeout_s=0.04 if slow and not later else 10,
        token_timeout_s=0.03 if later else 10,
        api_key=SECRET,
    )
    with pytest.raises(kind) as caught:
        await ask(brain, users("Hi"))
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.retryable) == (code, retryable)
    assert server.url in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    # The brain lives on; it has time now, so that a busy machine does not matter.
    brain._first_s = brain._next_s = 10
    server.answers = [Answer(whole("Good."))]
    assert text_of(await ask(brain, users("Hi"))) == "Good."


async def test_retry_after(server, make_brain):
    async def wait_of(**headers):
        server.answers = [error(429, "Too fast", **headers)]
        with pytest.raises(RateLimitError) as caught:
            await ask(make_brain(), users("Hi"))
        return caught.value.retry_after

    assert await wait_of(retry_after="7") == 7
    assert await wait_of(retry_after_ms="250", retry_after="1") == 0.25
    assert await wait_of(retry_after="Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert await wait_of(retry_after="soon") is None
    assert await wait_of() is None


async def test_server_that_is_down(make_brain, server):
    brain = OpenAIChatBrain("m", {"base_url": "http://127.0.0.1:9/v1"})
    for attempt in (ask(brain, users("Hi")), brain.load()):
        with pytest.raises(ConnectionError) as caught:
            await attempt
        assert (caught.value.code, caught.value.retryable) == ("refused", True)
    await brain.close()


ENDINGS: dict[str, list[Any]] = {
    "no [DONE]": [STOP],
    "no [DONE], connection dropped": [STOP, DROP],
    "no [DONE], connection kept open": [STOP, STALL],
    "no finish_reason": [DONE],
    "carriage returns": [STOP.replace(b"\n", b"\r\n"), DONE.replace(b"\n", b"\r\n")],
    "no empty line at the end": [STOP, DONE.rstrip()],
    "usage before the end": [
        chunk({}, "stop", usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2})
    ],
}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_endings_that_are_tolerated(server, make_brain, monkeypatch, ending):
    monkeypatch.setattr(openai_chat, "_USAGE_WAIT", 0.03)
    server.answers = [Answer([*said("Hello."), *ENDINGS[ending]])]
    assert text_of(await ask(make_brain(), users("Hi"))) == "Hello."


async def test_no_content_type_is_tolerated(server, make_brain):
    server.answers = [Answer(whole("Hello."), kind=None)]
    assert text_of(await ask(make_brain(), users("Hi"))) == "Hello."


async def test_refused_fields_are_left_out_from_then_on(server, make_brain):
    refusals = [
        error(400, "Unrecognized request argument: stream_options"),
        error(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
        error(400, "'temperature' does not support 0.5 with this model."),
    ]
    server.answers = [*refusals, Answer(whole("Hello."))]
    brain = make_brain(max_tokens=9, temperature=0.5)
    for _ in range(2):
        assert text_of(await ask(brain, users("Hi"))) == "Hello."
    bodies = [r.body for r in server.requests]
    assert len(bodies) == 5
    assert not {"stream_options", "max_tokens", "temperature"} & set(bodies[-1])
    assert bodies[-1]["max_completion_tokens"] == 9


async def test_a_field_that_is_still_refused_is_an_error(server, make_brain):
    server.answers = [error(400, "stream_options is wrong, whatever you do")]
    with pytest.raises(MessageError, match="whatever you do"):
        await ask(make_brain(), users("Hi"))
    assert len(server.requests) == 2


async def test_connections_are_shared_and_a_stale_one_is_replaced(server, make_brain):
    brain = make_brain()
    await brain.load()
    for _ in range(3):
        await ask(brain, users("Hi"))
    assert server.connections == 1
    server.answers = [Answer(instead=DROP), Answer(whole("Again."))]
    assert text_of(await ask(brain, users("Hi"))) == "Again."
    assert server.connections == 2


async def test_load_looks_at_the_key_but_not_at_the_list(server, make_brain):
    server.models = error(404, "no such thing")
    await make_brain().load()
    server.models = Answer(instead=STALL)
    await make_brain(timeout_s=0.03).load()
    server.models = error(401, "who are you")
    with pytest.raises(AuthenticationError):
        await make_brain().load()
    asked = len(server.requests)
    await make_brain(warm_up=False).load()
    assert len(server.requests) == asked


async def test_the_key_is_nowhere_to_be_seen(server, make_brain, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MY_KEY", SECRET)
    brain = make_brain(api_key_env="MY_KEY", headers={"X-Token": "token-12345678"})
    await ask(brain, users("Hi"))
    assert server.requests[-1].headers["authorization"] == f"Bearer {SECRET}"
    assert server.requests[-1].headers["x-token"] == "token-12345678"
    shown = f"{brain!r} {caplog.text}"
    assert SECRET not in shown
    assert "token-12345678" not in shown


async def test_without_httpx(server, make_brain, monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'voxengine\[chat\]'"):
        await ask(make_brain(), users("Hi"))


async def test_after_a_tool(server, make_brain):
    call = ToolCall("c1", "move", '{"direction": "left", "distance": 1}')
    await ask(make_brain(), with_result(users("go left"), call, '{"ok": true}'), [MOVE])
    assert server.requests[-1].body["messages"][-1] == {
        "role": "tool",
        "tool_call_id": "c1",
        "content": '{"ok": true}',
    }


OPTIONS: list[tuple[str, dict[str, Any], str]] = [
    ("m", {}, "base_url"),
    ("", {"base_url": "http://h/v1"}, "name of a model"),
    ("m", {"base_url": "h:80/v1"}, "http://"),
    ("m", {"base_url": "http://[::1/v1"}, "not an address"),
    ("m", {"base_url": "http://h:port/v1"}, "not an address"),
    ("m", {"base_url": "http://h/v1", "baseurl": 1}, "'baseurl'"),
    ("m", {"base_url": "http://h/v1", "timeout_s": 0}, "'timeout_s'"),
    ("m", {"base_url": "http://h/v1", "timeout_s": "5"}, "'timeout_s'"),
    ("m", {"base_url": "http://h/v1", "max_tokens": 0}, "'max_tokens'"),
    ("m", {"base_url": "http://h/v1", "extra": {"stream": False}}, "stream"),
    ("m", {"base_url": "http://h/v1", "extra": [1]}, "'extra'"),
    ("m", {"base_url": "http://h/v1", "api_key_env": "NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE"),
    ("m", {"base_url": "http://h/v1", "api_key": "a", "api_key_env": "B"}, "not both"),
    ("m", {"base_url": "http://h/v1", "api_key": f"{SECRET}\nx"}, "API key"),
    ("m", {"base_url": "http://h/v1", "headers": {"a": "b\r\nc"}}, "header 'a'"),
]


@pytest.mark.parametrize(("model", "options", "names"), OPTIONS)
async def test_options_that_are_refused(model, options, names):
    with pytest.raises(ConfigurationError) as caught:
        OpenAIChatBrain(model, options)
    assert names in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("base", "url", "shown"),
    [
        ("http://h/v1/", "http://h/v1/models", "http://h/v1"),
        ("http://h:81/v1/chat/completions", "http://h:81/v1/models", "http://h:81/v1"),
        ("https://u:pw@h/v1", "https://u:pw@h/v1/models", "https://h/v1"),
        ("https://h/d?api-version=1", "https://h/d/models?api-version=1", "https://h/d"),
        ("http://[::1]:8/v1", "http://[::1]:8/v1/models", "http://[::1]:8/v1"),
    ],
)
async def test_addresses(base, url, shown):
    from voxengine.providers.cascade.brains.chat_endpoint import ChatEndpoint

    endpoint = ChatEndpoint({"base_url": base})
    assert endpoint.url("models") == url
    assert endpoint.shown == shown
