from __future__ import annotations

import json

import pytest

from voxengine.providers.nova import codec
from voxengine.testing.oracles.nova import nova_judge


def event(name: str, **fields: object) -> bytes:
    return json.dumps({"event": {name: fields}}).encode()


def test_what_the_server_says_is_read_by_its_name():
    message = codec.decode(event("textOutput", contentId="c", content="Hi", role="USER"))
    assert isinstance(message, codec.Message)
    assert (message.name, message.body.content_id, message.body.content) == (
        "textOutput",
        "c",
        "Hi",
    )
    usage = {"total": {"input": {"speechTokens": 3, "textTokens": 4}, "output": {"textTokens": 5}}}
    message = codec.decode(event("usageEvent", details=usage))
    assert isinstance(message, codec.Message)
    assert message.body.details is not None
    total = message.body.details.total
    assert total is not None
    assert (total.input.speech_tokens, total.input.text_tokens) == (3, 4)
    assert (total.output.speech_tokens, total.output.text_tokens) == (0, 5)


@pytest.mark.parametrize("name", sorted(codec.NOTHING))
def test_what_carries_nothing_is_nothing(name: str):
    assert codec.decode(event(name, sessionId="s")) is None


def test_what_nobody_knows_is_handed_on_as_it_came():
    message = codec.decode(event("moodEvent", mood="sunny"))
    assert message == codec.Unknown("moodEvent", {"event": {"moodEvent": {"mood": "sunny"}}})


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"event":{}}',
        b'{"event":null}',
        b'{"event":"x"}',
        b'{"type":"x"}',
        b'{"event":{"textOutput":{"content":5}}}',
        b'{"event":{"contentStart":[]}}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_what_cannot_be_read_is_told_in_words(payload: bytes):
    message = codec.decode(payload)
    assert isinstance(message, codec.Malformed), message
    assert message.words


@pytest.mark.parametrize(
    ("text", "is_mark"),
    [
        ('{ "interrupted" : true }', True),
        ('{"interrupted":true}', True),
        ('{"interrupted":false}', False),
        ('{"interrupted":"true"}', False),
        ("{ braces } are words", False),
        ("interrupted", False),
        ("", False),
    ],
)
def test_the_mark_of_an_interruption_is_no_text(text: str, is_mark: bool):
    assert codec.is_interruption(text) is is_mark


@pytest.mark.parametrize(
    ("fields", "stage"),
    [
        ('{"generationStage":"FINAL"}', "FINAL"),
        ('{"generationStage":"SPECULATIVE"}', "SPECULATIVE"),
        ("{}", ""),
        ("[]", ""),
        ("no json", ""),
        (None, ""),
    ],
)
def test_the_stage_is_json_in_a_string(fields: str | None, stage: str):
    assert codec.stage_of(codec.Body(additional_model_fields=fields)) == stage


def test_all_that_is_sent_is_of_the_documented_shape():
    judge = nova_judge()
    inference = {"maxTokens": 1, "topP": 0.9, "temperature": 0.7}
    messages = [
        codec.encode("sessionStart", inferenceConfiguration=inference),
        codec.audio_start("p", "a", 16000),
        codec.encode_audio("p", "a", b"\1\2" * 99),
        *codec.text_content("p", "t", "SYSTEM", "Be brief.", interactive=False),
        *codec.tool_content("p", "r", "call", "{}"),
        codec.encode("promptEnd", promptName="p"),
        codec.encode("sessionEnd"),
    ]
    assert [problem for message in messages for problem in judge.client(message)] == []
    assert json.loads(messages[2])["event"]["audioInput"]["promptName"] == "p"


@pytest.mark.parametrize(
    "wrong",
    [
        codec.encode("promptEnd", promptName=""),
        codec.encode("promptEnd", promptName="p", more=1),
        codec.encode("textInput", promptName="p", contentName="c", content="x" * 1025),
        codec.encode("audioInput", promptName="p", contentName="c", content="no base64!"),
        codec.encode("nothing"),
        codec.encode("contentStart", promptName="p", contentName="c", type="VIDEO"),
        b'{"event":{"sessionEnd":{}},"more":1}',
        b"[]",
        b"{",
    ],
)
def test_the_judge_finds_what_is_wrong(wrong: bytes):
    judge = nova_judge()
    assert judge.client(wrong) != []
    assert judge.violation_count == 1


@pytest.mark.parametrize("text", ["short", "word " * 900, "ö" * 3000, "好" * 2000])
def test_long_texts_are_cut_into_pieces_of_one_content(text: str):
    pieces = codec.pieces(text)
    assert "".join(pieces) == text
    assert all(len(piece.encode()) <= 1024 for piece in pieces)
    names = [
        next(iter(json.loads(m)["event"]))
        for m in codec.text_content("p", "c", "USER", text, interactive=True)
    ]
    assert names == ["contentStart", *["textInput"] * len(pieces), "contentEnd"]


@pytest.mark.parametrize("wrong", [{}, {"event": 5}, {"event": {}}, {"event": {"a": 1, "b": 2}}])
def test_what_is_no_message_is_refused(wrong: dict[str, object]):
    with pytest.raises(ValueError, match="a message is"):
        codec.event_of(wrong)
