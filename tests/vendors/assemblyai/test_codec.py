"""The Voice Agent's messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from voxengine.providers.assemblyai import codec
from voxengine.testing.oracles.assemblyai import agent_judge


def test_what_is_sent_has_the_documented_shape():
    judge = agent_judge()
    for message in (
        codec.encode_audio(b"\1\0" * 8),
        codec.encode_update({"system_prompt": "Be brief.", "tools": []}),
        codec.encode_update({"agent_id": "agent_1"}),
        codec.encode_resume("sess_1"),
        codec.encode_reply(None),
        codec.encode_reply("Say hello."),
        codec.encode_tool_result("call_1", "{}"),
        codec.END,
    ):
        assert judge.client(message) == []


@pytest.mark.parametrize(
    "message",
    [
        {"type": "input.audio"},
        {"type": "input.audio", "audio": "", "mood": "sunny"},
        {"type": "session.update", "session": {"greeting": None}},
        {"type": "session.update", "session": {"input": {"format": {"encoding": "opus"}}}},
        {"type": "session.update", "session": {"voice": "alba"}},
        {"type": "tool.result", "call_id": "1", "result": {"an": "object"}},
        {"type": "conversation.message", "role": "assistant", "content": "hello"},
        {"type": "hello"},
    ],
)
def test_the_judge_is_not_lenient(message: dict[str, Any]):
    assert agent_judge().client(message) != []


def test_a_message_and_what_is_none():
    word = codec.decode(
        b'{"type":"transcript.agent.delta","reply_id":"r","delta":"Hi","start_ms":0,"end_ms":90.5,"new":[1]}'
    )
    assert isinstance(word, codec.Message)
    assert (word.delta, word.start_ms, word.end_ms) == ("Hi", 0, 90.5)
    assert codec.decode(b'{"type":"session.updated","config":{}}') is None
    assert codec.decode(b'{"type":"agent.mood","mood":1}') == codec.Unknown(
        "agent.mood", {"type": "agent.mood", "mood": 1}
    )
    for bad in (b"", b"[]", b"{}", b'{"type":1}', b'{"type":"reply.audio","data":7}', b"\xff"):
        assert isinstance(codec.decode(bad), codec.Malformed)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [('{"a":1}', '{"a":1}'), ('"{\\"a\\": 1}"', '{"a": 1}'), ("null", "{}"), ("{}", "{}")],
)
def test_arguments_are_json_text(arguments: str, found: str):
    message = codec.decode(
        b'{"type":"tool.call","call_id":"c","arguments":%s}' % arguments.encode()
    )
    assert isinstance(message, codec.Message)
    assert codec.arguments_of(message) == found


@pytest.mark.parametrize(
    ("output", "sent"),
    [('{"a": 1}', '{"a": 1}'), ("it rains", '"it rains"'), ("", '""'), ("7", "7")],
)
def test_a_result_is_json_text(output: str, sent: str):
    assert json.loads(codec.encode_tool_result("c", output))["result"] == sent


def test_the_prompt_of_a_stored_agent():
    ready = b'{"type":"session.ready","session_id":"s","config":%s}'
    for config, prompt in (
        (b'{"system_prompt":"Be kind."}', "Be kind."),
        (b"[]", None),
        (b"null", None),
    ):
        message = codec.decode(ready % config)
        assert isinstance(message, codec.Message)
        assert codec.prompt_of(message) == prompt
