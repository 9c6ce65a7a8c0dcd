"""Gemini's text models as a brain, by Google's own client against the emulator of `streamGenerateContent`."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    MessageError,
    MissingDependencyError,
    ProviderError,
    RateLimitError,
)
from voxengine.providers.cascade.parts import (
    BrainText,
    BrainToolCall,
    BrainUsage,
    Message,
    ToolCall,
    ToolSpec,
)
from voxengine.providers.cascade.registry import create_part
from voxengine.providers.gemini.contents import Signatures, Stream, contents_of, instruction_of
from voxengine.providers.gemini.llm import GeminiBrain
from voxengine.testing.emulators.gemini import GeminiEmulator
from voxengine.testing.leaks import settle

LOOK = ToolSpec("look", "Looks.", {"type": "object", "properties": {"at": {"type": "integer"}}})
ANSWERS: dict[str, Any] = {
    "hello": "hi there my friend",
    "tell me more": " ".join(f"word{n}" for n in range(200)),
    "look it up": {"tool": {"name": "look", "arguments": {"at": 1}}, "then": "found {output}"},
}
# The client waits in real time for its connections.
real = pytest.mark.real_clock


@asynccontextmanager
async def thinking(
    settings: dict[str, Any] | None = None, model: str = "gemini-3.8-flash", **options: Any
) -> AsyncIterator[tuple[GeminiBrain, GeminiEmulator]]:
    quick = {"latency_ms": 1.0, **(settings or {})}
    async with GeminiEmulator(ANSWERS, key="k3y", **quick) as emulator:
        wanted = {"base_url": emulator.base_url, "api_key": "k3y", **options}
        brain = GeminiBrain(model, wanted)
        try:
            yield brain, emulator
        finally:
            await brain.close()
    # Of a stream that is not read to its end, Google's client leaves generators behind: closed, and in a circle.
    gc.collect()
    await settle()


async def reply(brain: GeminiBrain, *messages: Message, **more: Any) -> list[Any]:
    tools = more.pop("tools", ())
    async with aclosing(brain.reply(messages, tools, session="s", **more)) as events:
        return [event async for event in events]


def text_of(events: list[Any]) -> str:
    return "".join(e.text for e in events if isinstance(e, BrainText))


HELLO = Message("user", "hello")


@real
async def test_words_come_one_by_one_and_are_counted():
    settings = {"thoughts": "a greeting would do", "cached_tokens": 4}
    async with thinking(settings) as (brain, emulator):
        events = await reply(brain, Message("system", "Be brief."), HELLO, temperature=0.2)
        assert text_of(events) == "hi there my friend"
        assert len([e for e in events if isinstance(e, BrainText)]) == 4
        (usage,) = [e for e in events if isinstance(e, BrainUsage)]
        assert (usage.model, usage.cached_tokens) == ("gemini-3.8-flash", 4)
        # Thoughts are paid for, and nothing else is seen of them.
        assert usage.output_tokens == 5 + 5
        request = emulator.requests[-1]
        assert request["systemInstruction"]["parts"] == [{"text": "Be brief."}]
        assert request["generationConfig"]["temperature"] == 0.2


@real
async def test_a_tool_is_called_and_its_result_answered():
    async with thinking() as (brain, emulator):
        asked = Message("user", "look it up")
        (call,) = [
            e.call for e in await reply(brain, asked, tools=[LOOK]) if isinstance(e, BrainToolCall)
        ]
        assert (call.name, call.arguments) == ("look", '{"at":1}')
        made = Message("assistant", tool_calls=(call,))
        result = Message("tool", "gold", call_id=call.call_id)
        assert text_of(await reply(brain, asked, made, result, tools=[LOOK])) == "found gold"
        parts = emulator.requests[-1]["contents"][1]["parts"]
        assert parts[0]["thoughtSignature"] == "c2lnbmVk"


@real
async def test_who_stops_listening_ends_the_request():
    async with thinking() as (brain, emulator):
        async with aclosing(brain.reply([Message("user", "tell me more")], (), session="s")) as it:
            await anext(it)
        async with asyncio.timeout(3):
            while emulator.open_texts:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@real
@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ("refuse:auth", AuthenticationError, "auth"),
        ("refuse:not_found", ProviderError, "model_not_found"),
        ("refuse:rate_limit", RateLimitError, "rate_limit"),
        ("refuse:quota", RateLimitError, "quota"),
        ("refuse:server_error", ProviderError, "server_error"),
        ("refuse:refused", ProviderError, "closed"),
        ("drop:after_chunks=2", ProviderError, "closed"),
        ("error_once:after_chunks=1", ProviderError, "server_error"),
        ("stall:after_chunks=1", ProviderError, "timeout"),
        ("malformed:after_chunks=1", MessageError, "bad_response"),
    ],
)
async def test_what_goes_wrong_has_our_names(fault: str, kind: type[ProviderError], code: str):
    async with thinking({"faults": fault}, token_timeout_s=0.5) as (brain, _):
        with pytest.raises(kind) as failed:
            await reply(brain, HELLO)
        assert failed.value.code == code


@real
async def test_an_endpoint_that_is_down_is_refused():
    async with thinking() as (brain, emulator):
        await emulator.refuse()
        with pytest.raises(ProviderError) as failed:
            await reply(brain, HELLO)
        assert failed.value.code == "refused"


@real
async def test_a_wrong_key_and_a_wrong_model(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    async with thinking(api_key="wr0ng") as (brain, _):
        with pytest.raises(AuthenticationError) as failed:
            await reply(brain, HELLO)
        assert "wr0ng" not in str(failed.value) + repr(brain) + caplog.text
    async with thinking(model="parrot-1") as (brain, _):
        with pytest.raises(ProviderError) as unknown:
            await reply(brain, HELLO)
        assert unknown.value.code == "model_not_found"


def test_a_conversation_in_the_vendors_form():
    messages = [
        Message("system", "Be brief."),
        Message("system", "Be kind."),
        HELLO,
        Message(
            "assistant", "hi", tool_calls=(ToolCall("a", "look", "{}"), ToolCall("b", "go", "x"))
        ),
        Message("tool", '{"far": 1}', call_id="a"),
        Message("tool", "no", call_id="b"),
        Message("system", "It rains."),
        Message("user", "so?"),
    ]
    assert instruction_of(messages) == "Be brief.\n\nBe kind."
    user, model, results = contents_of(messages, Signatures())
    assert (user["role"], model["role"], results["role"]) == ("user", "model", "user")
    text, first, second = model["parts"]
    assert text == {"text": "hi"}
    assert "thought_signature" in first
    assert "thought_signature" not in second
    assert second["function_call"]["args"] == {"output": "x"}
    assert [p["function_response"]["name"] for p in results["parts"][:2]] == ["look", "go"]
    assert "It rains." in results["parts"][2]["text"]
    assert contents_of([Message("system", "x")], Signatures())[0]["role"] == "user"


@pytest.mark.parametrize(
    ("response", "code"),
    [
        ({"promptFeedback": {"blockReason": "SAFETY"}}, "content_filter"),
        ({"candidates": [{"finishReason": "SAFETY"}]}, "content_filter"),
        ({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]}, "bad_response"),
        ({"candidates": [{"content": {"parts": [{"text": "half"}]}}]}, "closed"),
    ],
)
def test_answers_that_are_none(response: dict[str, Any], code: str):
    from google.genai import types

    stream = Stream("m", Signatures())
    with pytest.raises(ProviderError) as failed:
        [*stream.feed(types.GenerateContentResponse.model_validate(response)), *stream.end()]
    assert failed.value.code == code


def test_options_are_checked(monkeypatch: pytest.MonkeyPatch):
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    wrong: list[dict[str, Any]] = [
        {},
        {"api_key": "k", "parrot": 1},
        {"api_key": "k", "config": "x"},
        {"api_key": "k", "config": {"tools": []}},
        {"api_key": "k", "timeout_s": 0},
        {"vertex": True},
    ]
    for options in wrong:
        with pytest.raises(ConfigurationError):
            GeminiBrain("", options)
    assert GeminiBrain("", {"api_key": "k"}).model == "gemini-3.8-flash"
    assert create_part("brain", "gemini/gemini-x", {"api_key": "k"}).model == "gemini-x"


@real
async def test_without_the_vendors_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    import sys

    monkeypatch.setitem(sys.modules, "google", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'voxengine\[google\]'"):
        await GeminiBrain("", {"api_key": "k"}).load()
