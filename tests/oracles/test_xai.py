"""The dialect of xAI: what is declared passes, in the declared form only, and the rest is as strict as without it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from voxengine.testing.oracles.openai_realtime import XAI_EXCEPTIONS, realtime_judge

SESSION: dict[str, Any] = {
    "instructions": "Be brief.",
    "voice": "eve",
    "turn_detection": {"type": "server_vad", "threshold": 0.85, "silence_duration_ms": 300},
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 16000},
            "transport": "binary",
            "transcription": {"model": "grok-transcribe", "language_hint": "de", "keyterms": ["x"]},
        },
        "output": {"format": {"type": "audio/pcm", "rate": 44100}, "speed": 1.1},
    },
    "reasoning": {"effort": "none"},
    "resumption": {"enabled": True},
    "replace": {"xAI": "ex ay eye"},
    "tools": [
        {"type": "web_search"},
        {"type": "x_search", "allowed_x_handles": ["a"]},
        {"type": "file_search", "vector_store_ids": ["v"]},
        {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}},
    ],
}
PING = {"type": "ping", "event_id": "e", "timestamp": 5}
UPDATED = {
    "type": "conversation.item.input_audio_transcription.updated",
    "event_id": "e",
    "item_id": "i",
    "transcript": "hello",
}
COMPLETED = {
    "type": "conversation.item.input_audio_transcription.completed",
    "event_id": "e",
    "item_id": "i",
    "content_index": 0,
    "transcript": "hello",
}
DONE: dict[str, Any] = {
    "type": "response.done",
    "event_id": "e",
    "response": {"id": "r", "object": "realtime.response", "status": "completed", "output": []},
    "usage": {"total_tokens": 5},
}
FORCED: dict[str, Any] = {
    "type": "conversation.item.create",
    "item": {"type": "force_message", "content": [{"type": "output_text", "text": "Hello."}]},
}
VALID: list[tuple[str, dict[str, Any]]] = [
    ("client", {"type": "session.update", "session": SESSION}),
    ("server", {"type": "session.updated", "event_id": "e", "session": SESSION}),
    ("server", {"type": "session.created", "event_id": "e", "session": {"voice": "eve"}}),
    ("server", PING),
    ("server", UPDATED),
    ("server", COMPLETED),
    ("server", DONE),
    ("client", FORCED),
]


@pytest.mark.parametrize(("side", "message"), VALID)
def test_what_is_declared_passes_in_the_dialect_only(side: str, message: dict[str, Any]):
    before = copy.deepcopy(message)
    assert getattr(realtime_judge(XAI_EXCEPTIONS), side)(message) == []
    assert message == before
    assert getattr(realtime_judge(), side)(message)


def with_session(**changes: Any) -> dict[str, Any]:
    return {"type": "session.update", "session": {**copy.deepcopy(SESSION), **changes}}


@pytest.mark.parametrize(
    "message",
    [
        with_session(surprise=1),
        with_session(voice=5),
        with_session(turn_detection={"type": "semantic_vad"}),
        with_session(turn_detection={"type": "server_vad", "eagerness": "low"}),
        with_session(audio={"input": {"format": {"type": "audio/pcm", "rate": 12345}}}),
        with_session(audio={"input": {"transport": "carrier pigeon"}}),
        with_session(audio={"output": {"voice": "eve"}}),
        with_session(audio={"input": {"turn_detection": None}}),
        with_session(reasoning={"effort": "some"}),
        with_session(resumption={"enabled": "yes"}),
        with_session(replace={"a": 1}),
        with_session(tools=[{"type": "web_search", "surprise": 1}]),
        with_session(tools=[{"type": "file_search"}]),
        with_session(type="beta"),
        {**FORCED, "item": {"type": "force_message"}},
        {**FORCED, "surprise": 1},
    ],
)
def test_a_wrong_message_is_caught_in_the_dialect_too(message: dict[str, Any]):
    assert realtime_judge(XAI_EXCEPTIONS).client(message)


@pytest.mark.parametrize(
    "message",
    [
        {**PING, "surprise": 1},
        {**UPDATED, "transcript": None},
        {**DONE, "usage": {"seconds": 5}},
        {**DONE, "surprise": 1},
        {"type": "pong", "event_id": "e"},
    ],
)
def test_a_wrong_message_of_the_server_is_caught_in_the_dialect_too(message: dict[str, Any]):
    judge = realtime_judge(XAI_EXCEPTIONS)
    assert judge.server(message)
    assert judge.server_valid == 0


def test_extra_events_are_counted_by_their_name():
    judge = realtime_judge(XAI_EXCEPTIONS)
    judge.server(PING)
    assert judge.server_seen == {"ping": 1}


def test_every_exception_gives_a_reason():
    assert all(entry.reason for entry in (*XAI_EXCEPTIONS.events, *XAI_EXCEPTIONS.fields))
