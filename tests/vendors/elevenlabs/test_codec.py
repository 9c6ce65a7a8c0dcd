"""The messages of an agent's conversation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from voxengine.providers.elevenlabs import codec
from voxengine.testing.oracles.elevenlabs import agents_judge
from voxengine.testing.oracles.elevenlabs_shapes import CLIENT_EVENTS


def test_every_message_of_the_vendor_has_a_place():
    named = codec.TRANSLATED | set(codec.PASSED_ON)
    assert named == set(CLIENT_EVENTS) | {"error"}
    assert not codec.TRANSLATED & set(codec.PASSED_ON)


def test_audio_is_read():
    text = (
        '{"type":"audio","audio_event":{"audio_base_64":"AAEC","event_id":7,"alignment":'
        '{"chars":["H","i"],"char_start_times_ms":[0,40],"char_durations_ms":[40,60]}}}'
    )
    message = codec.decode(text.encode())
    assert isinstance(message, codec.Message)
    assert message.audio_event is not None
    assert codec.decode_audio(message.audio_event) == b"\0\1\2"
    assert message.audio_event.alignment is not None
    assert message.audio_event.alignment.chars == ["H", "i"]


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"{", "no type"),
        (b"[]", "no type"),
        (b'{"type": 7}', "no text"),
        (b'{"type": "audio"}', "without its audio_event"),
        (b'{"type": "ping", "ping_event": {}}', "cannot be read"),
        (b'{"type": "audio", "audio_event": {"audio_base_64": 1}}', "cannot be read"),
        (b"\xff", "no type"),
    ],
)
def test_what_is_no_message_is_told(payload: bytes, words: str):
    found = codec.decode(payload)
    assert isinstance(found, codec.Malformed)
    assert words in found.words


def test_what_has_no_name_with_us_is_handed_on():
    found = codec.decode(b'{"type": "vad_score", "vad_score_event": {"vad_score": 0.5}}')
    assert isinstance(found, codec.Unknown)
    assert (found.type, found.payload["vad_score_event"]) == ("vad_score", {"vad_score": 0.5})


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        (codec.encode_audio(b"\0\1\2"), {"user_audio_chunk": "AAEC"}),
        (codec.encode_pong(3), {"type": "pong", "event_id": 3}),
        (codec.encode_user("hi"), {"type": "user_message", "text": "hi"}),
        (codec.encode_context("it rains"), {"type": "contextual_update", "text": "it rains"}),
        (
            codec.encode_context("it rains", "weather"),
            {"type": "contextual_update", "text": "it rains", "context_id": "weather"},
        ),
        (
            codec.encode_tool_result("c1", "no", is_error=True),
            {"type": "client_tool_result", "tool_call_id": "c1", "result": "no", "is_error": True},
        ),
    ],
)
def test_what_is_sent_is_as_the_vendor_has_it(message: bytes, wanted: dict[str, Any]):
    assert json.loads(message) == wanted
    assert agents_judge().client(message) == []


@pytest.mark.parametrize(
    "message",
    [
        {"type": "pong"},
        {"type": "pong", "event_id": "3"},
        {"type": "client_tool_result", "tool_call_id": "c", "result": "x"},
        {"type": "user_message", "text": "hi", "mood": "good"},
        {"type": "greet"},
        {"user_audio_chunk": "AAEC", "type": "audio"},
        {
            "type": "conversation_initiation_client_data",
            "conversation_config_override": {"tts": {"speed": 9}},
        },
        {
            "type": "conversation_initiation_client_data",
            "conversation_config_override": {"agent": {"language": "english"}},
        },
    ],
)
def test_the_judge_finds_what_is_wrong(message: dict[str, Any]):
    assert agents_judge().client(message) != []
