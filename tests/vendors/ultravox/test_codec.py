"""Ultravox's messages, and the request that creates a call."""

from __future__ import annotations

import json
from typing import Any

import pytest

from voxengine.audio.formats import AudioFormat
from voxengine.config import ProviderConfig
from voxengine.conversation.items import Item
from voxengine.providers.ultravox import codec
from voxengine.providers.ultravox import session as shape
from voxengine.testing.oracles.ultravox import CREATE, ultravox_judge

PCM = AudioFormat("pcm16", 16000)
LOOK = {
    "name": "look",
    "description": "Look up.",
    "parameters": {
        "type": "object",
        "properties": {"what": {"type": "string"}, "where": {"$ref": "#/$defs/Place"}},
        "required": ["what"],
        "$defs": {"Place": {"type": "string"}},
    },
}


def test_what_is_sent_is_of_the_documented_shape():
    judge = ultravox_judge()
    for message in (
        codec.encode_text("hello"),
        codec.encode_note("hello"),
        codec.encode_note("hello", answered=True),
        codec.encode_interrupt(),
        codec.encode_say("hello"),
        codec.encode_tool_result("call_1", "{}"),
        codec.encode_medium(False),
        codec.encode_hang_up(),
    ):
        assert judge.client(message) == []
    assert judge.figures()["oracle"] == "documented shape"


@pytest.mark.parametrize(
    ("side", "message"),
    [
        ("client", {"type": "user_text_message"}),
        ("client", {"type": "user_text_message", "text": "a", "urgency": "never"}),
        ("client", {"type": "user_text_message", "text": "a", "mood": "sunny"}),
        ("client", {"type": "client_tool_result", "invocation_id": "a"}),
        ("client", {"type": CREATE, "medium": {"webRtc": {}}}),
        ("client", {"type": "state", "state": "idle"}),
        ("server", {"type": "state", "state": "sleeping"}),
        (
            "server",
            {"type": "transcript", "role": "user", "medium": "voice", "final": True, "ordinal": 1},
        ),
        (
            "server",
            {
                "type": "client_tool_invocation",
                "toolName": "a",
                "invocationId": "b",
                "parameters": "{}",
            },
        ),
    ],
)
def test_the_judge_is_not_lenient(side: str, message: dict[str, Any]):
    judge = ultravox_judge()
    assert (judge.client if side == "client" else judge.server)(json.dumps(message)) != []


def test_a_message_and_what_is_none():
    called = codec.decode(
        b'{"type":"client_tool_invocation","toolName":"look","invocationId":"c",'
        b'"parameters":{"what":"it"},"new":1}'
    )
    assert isinstance(called, codec.Message)
    assert (called.tool_name, bytes(called.parameters)) == ("look", b'{"what":"it"}')
    debug = {"type": "debug", "message": "words"}
    assert codec.decode(json.dumps(debug).encode()) == codec.Unknown("debug", debug)
    assert not codec.TRANSLATED & {*codec.PASSED_ON, *codec.NOTHING}
    for bad in (b"", b"[]", b"{}", b'{"type":1}', b'{"type":"state","state":7}', b"\xff"):
        assert isinstance(codec.decode(bad), codec.Malformed)


def created(config: dict[str, Any], history: Any = (), *, resumed: bool = False) -> dict[str, Any]:
    body = shape.body_of(ProviderConfig.of(config), PCM, history, resumed=resumed)
    assert ultravox_judge().client({"type": CREATE, **body}) == []
    return body


def test_the_request():
    body = created(
        {
            "instructions": "Be brief.",
            "model": "ultravox-v0.7",
            "voice": "Jessica",
            "temperature": 0.4,
            "language": "de-DE",
            "tools": [LOOK],
            "output_format": AudioFormat("pcm16", 48000),
            "session": {"maxDuration": "600s"},
        }
    )
    assert body["systemPrompt"].startswith("Be brief.\n\n")
    assert codec.note("...") in body["systemPrompt"]
    socket = body["medium"]["serverWebSocket"]
    assert (socket["inputSampleRate"], socket["outputSampleRate"]) == (16000, 48000)
    assert (body["model"], body["voice"], body["languageHint"]) == (
        "ultravox-v0.7",
        "Jessica",
        "de-DE",
    )
    assert body["maxDuration"] == "600s"
    what, where = body["selectedTools"][0]["temporaryTool"]["dynamicParameters"]
    assert (what["name"], what["required"], where["required"]) == ("what", True, False)
    assert where["schema"] == {"$ref": "#/$defs/Place", "$defs": {"Place": {"type": "string"}}}
    assert "initialOutputMedium" not in body
    assert created({"modalities": ["text"]})["initialOutputMedium"] == "MESSAGE_MEDIUM_TEXT"


def test_an_earlier_conversation():
    history = [
        Item(id="0", role="system", text="The user is in a car.", status="completed"),
        Item(id="1", role="user", text="Look it up.", status="completed"),
        Item(id="2", kind="function_call", call_id="c", name="look", arguments='{"what":"it"}'),
        Item(id="3", kind="function_output", call_id="c", output="a book"),
        Item(id="4", role="assistant", text="It is a", unheard_text=" book", status="incomplete"),
        Item(id="5", role="assistant", status="incomplete"),
    ]
    told = created({}, history)["initialMessages"]
    assert [message["role"].removeprefix("MESSAGE_ROLE_") for message in told] == [
        "USER",
        "USER",
        "TOOL_CALL",
        "TOOL_RESULT",
        "AGENT",
    ]
    assert told[0]["text"] == codec.note("The user is in a car.")
    assert told[3] == {
        "role": "MESSAGE_ROLE_TOOL_RESULT",
        "text": "a book",
        "invocationId": "c",
        "toolName": "look",
    }
    assert told[4]["text"] == "It is a"
    assert "initialMessages" not in created({}, history, resumed=True)
    assert len(created({}, history[1:2] * 1000)["initialMessages"]) == shape.MAX_MESSAGES


def test_voices():
    own = "ee966436-01ab-4810-a880-9e9a532e03b8"
    assert created({"voice": own})["voice"] == own
    assert created({"voice": "coral"})["voice"] in shape.CAPABILITIES.voices
    assert [code for code, _ in shape.notes_of(ProviderConfig(voice="coral"))] == ["voice_mapped"]
    assert [*shape.notes_of(ProviderConfig(voice=own))] == []
