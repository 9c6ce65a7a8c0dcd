"""The messages of Gemini Live, as bytes."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from voxengine.providers.gemini import codec
from voxengine.testing.oracles.gemini import gemini_judge


def decoded(message: Any) -> Any:
    return codec.decode(json.dumps(message).encode())


def test_audio_is_found_in_either_spelling():
    blob = {"mimeType": "audio/pcm;rate=24000", "data": base64.b64encode(b"\1\2").decode()}
    snake = {"mime_type": blob["mimeType"], "data": blob["data"]}
    forms: list[Any] = [
        {"serverContent": {"modelTurn": {"parts": [{"inlineData": blob}]}}},
        {"server_content": {"model_turn": {"parts": [{"inline_data": snake}]}}},
        {"serverContent": {"modelTurn": {"parts": [{"inline_data": snake}]}}},
    ]
    for form in forms:
        message = decoded(form)
        (part,) = message.server_content.model_turn.parts
        assert part.inline_data.mime_type == "audio/pcm;rate=24000"
        assert codec.decode_audio(part.inline_data) == b"\1\2"


def test_an_applications_own_names_stay_as_they_are():
    call = {"id": "f1", "name": "look_up", "args": {"my_key": {"inner_key": 1}}}
    for form in (
        {"toolCall": {"functionCalls": [call]}},
        {"tool_call": {"function_calls": [call]}},
    ):
        (found,) = decoded(form).tool_call.function_calls
        assert (found.id, found.name) == ("f1", "look_up")
        assert json.loads(bytes(found.args)) == call["args"]


def test_usage_may_stand_beside_anything():
    message = decoded(
        {"serverContent": {"turnComplete": True}, "usageMetadata": {"promptTokenCount": 4}}
    )
    assert message.server_content.turn_complete is True
    assert message.usage_metadata.prompt_token_count == 4
    assert decoded({"usageMetadata": {"thoughtsTokenCount": 2}}).usage_metadata is not None


def test_what_is_new_to_us_is_named():
    found = decoded({"moodUpdate": {"mood": "sunny"}})
    assert found == codec.Unknown("moodUpdate", {"moodUpdate": {"mood": "sunny"}})


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"7",
        b'{"serverContent": 7}',
        b'{"goAway": {"timeLeft": 5}}',
        b"\xff",
    ],
)
def test_what_cannot_be_read_is_told(payload: bytes):
    assert isinstance(codec.decode(payload), codec.Malformed)


def test_either_alphabet_of_base64_is_read():
    samples = bytes(range(256))
    for data in (base64.b64encode(samples), base64.urlsafe_b64encode(samples).rstrip(b"=")):
        assert codec.decode_audio(codec.Blob(data=data.decode())) == samples


def test_audio_that_is_no_base64_is_an_error():
    with pytest.raises(ValueError, match="base64"):
        codec.decode_audio(codec.Blob(data="%%%"))


@pytest.mark.parametrize(
    ("text", "seconds"), [("50s", 50.0), ("1.500s", 1.5), ("", None), (None, None), ("soon", None)]
)
def test_durations(text: str | None, seconds: float | None):
    assert codec.seconds_of(text) == seconds


def test_what_goes_out_is_valid():
    judge = gemini_judge()
    audio = codec.audio_encoder(16000)(b"\0\0\1\0")
    assert json.loads(audio)["realtimeInput"]["audio"] == {
        "mimeType": "audio/pcm;rate=16000",
        "data": "AAABAA==",
    }
    turns = [{"role": "user", "parts": [{"text": "ü \U0001f600"}]}]
    result = {"id": "f1", "name": "look", "response": {"output": "ok"}, "scheduling": "SILENT"}
    sent = (
        audio,
        codec.encode_content(turns, answer=True),
        codec.encode_content([], answer=False),
        codec.encode_tool_response([result]),
    )
    for message in sent:
        assert judge.client(message) == []


@pytest.mark.parametrize(
    ("side", "message", "words"),
    [
        ("client", {"setup": {"model": "m", "voice": "x"}}, "setup.voice"),
        ("client", {"setup": {}, "clientContent": {}}, "not one field"),
        ("client", {"mood": 1}, "unknown field"),
        ("client", {"realtimeInput": {"audio": {"data": "%", "mimeType": "a"}}}, "base64"),
        ("client", {"setup": {"realtimeInputConfig": {"turnCoverage": "ALL"}}}, "TurnCoverage"),
        ("client", {"setup": {"realtimeInputConfig": {"loud": 1}}}, "realtimeInputConfig.loud"),
        ("server", {"serverContent": {"turnComplete": "true"}}, "turnComplete"),
        ("server", {"serverContent": {"turnCompleteReason": "BORED"}}, "TurnCompleteReason"),
        ("server", {"goAway": {"timeLeft": "50"}}, "Duration"),
        ("server", {}, "not one field"),
    ],
)
def test_the_judge_finds_what_is_wrong(side: str, message: Any, words: str):
    judge = gemini_judge()
    problems = getattr(judge, side)(message)
    assert problems
    assert words in problems[0]
    assert judge.violation_count == len(problems)


def test_the_judge_names_what_one_of_its_types_lacks():
    judge = gemini_judge()
    assert judge.client({"setup": {"historyConfig": {"initialHistoryInClientContent": True}}}) == []
    assert judge.server({"setup_complete": {"session_id": "s"}}) == []
    assert dict(judge.only_a) == {"setup.historyConfig": 1, "setupComplete.sessionId": 1}
    assert judge.figures()["violations"] == 0
