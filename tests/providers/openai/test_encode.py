"""The client events, judged by the vendor's types."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voxengine.conversation.items import Item
from voxengine.providers.openai import encode
from voxengine.providers.openai.history import message_item, short_id, vendor_items
from voxengine.testing.oracles.openai_realtime import XAI_EXCEPTIONS, realtime_judge

_SESSION = {"type": "realtime", "instructions": "Be brief."}
_ITEM = message_item("user", "hello")

#: Each message bare and with all it can have, and what it says.
CASES: list[tuple[bytes, dict[str, Any]]] = [
    (encode.append_audio(b""), {"type": "input_audio_buffer.append", "audio": ""}),
    (encode.append_audio(b"\x00\xff"), {"type": "input_audio_buffer.append", "audio": "AP8="}),
    (encode.commit_audio(), {"type": "input_audio_buffer.commit"}),
    (encode.commit_audio("e"), {"type": "input_audio_buffer.commit", "event_id": "e"}),
    (encode.clear_audio(), {"type": "input_audio_buffer.clear"}),
    (encode.clear_audio("e"), {"type": "input_audio_buffer.clear", "event_id": "e"}),
    (encode.clear_output_audio(), {"type": "output_audio_buffer.clear"}),
    (encode.clear_output_audio("e"), {"type": "output_audio_buffer.clear", "event_id": "e"}),
    (encode.update_session(_SESSION), {"type": "session.update", "session": _SESSION}),
    (
        encode.update_session(_SESSION, "e"),
        {"type": "session.update", "event_id": "e", "session": _SESSION},
    ),
    (encode.create_item(_ITEM), {"type": "conversation.item.create", "item": _ITEM}),
    (
        encode.create_item(_ITEM, "e", previous_item_id="root"),
        {
            "type": "conversation.item.create",
            "event_id": "e",
            "previous_item_id": "root",
            "item": _ITEM,
        },
    ),
    (encode.retrieve_item("i"), {"type": "conversation.item.retrieve", "item_id": "i"}),
    (
        encode.retrieve_item("i", "e"),
        {"type": "conversation.item.retrieve", "event_id": "e", "item_id": "i"},
    ),
    (
        encode.truncate_item("i", 640),
        {
            "type": "conversation.item.truncate",
            "item_id": "i",
            "content_index": 0,
            "audio_end_ms": 640,
        },
    ),
    (
        encode.truncate_item("i", 0, "e", content_index=1),
        {
            "type": "conversation.item.truncate",
            "event_id": "e",
            "item_id": "i",
            "content_index": 1,
            "audio_end_ms": 0,
        },
    ),
    (encode.delete_item("i"), {"type": "conversation.item.delete", "item_id": "i"}),
    (
        encode.delete_item("i", "e"),
        {"type": "conversation.item.delete", "event_id": "e", "item_id": "i"},
    ),
    (encode.create_response(), {"type": "response.create"}),
    (encode.create_response({}, "e"), {"type": "response.create", "event_id": "e"}),
    (
        encode.create_response({"output_modalities": ["text"], "instructions": "Short."}, "e"),
        {
            "type": "response.create",
            "event_id": "e",
            "response": {"output_modalities": ["text"], "instructions": "Short."},
        },
    ),
    (encode.cancel_response(), {"type": "response.cancel"}),
    (
        encode.cancel_response("r", "e"),
        {"type": "response.cancel", "event_id": "e", "response_id": "r"},
    ),
]


@pytest.mark.parametrize(("message", "meaning"), CASES, ids=lambda value: str(value)[:60])
def test_each_client_event_is_valid_and_says_what_it_should(
    message: bytes, meaning: dict[str, Any]
):
    assert json.loads(message) == meaning
    assert realtime_judge().client(message) == []


def test_these_are_all_the_client_events_that_there_are():
    from openai.types.realtime import RealtimeClientEvent

    from voxengine.testing.oracles.vendor import models_by_type

    assert set(encode.CLIENT_EVENTS) == set(models_by_type(RealtimeClientEvent))
    assert set(encode.CLIENT_EVENTS) == {meaning["type"] for _, meaning in CASES}
    assert len(set(encode.CLIENT_EVENTS)) == len(encode.CLIENT_EVENTS) == 11


@given(st.binary(max_size=2000))
def test_an_append_is_what_a_plain_encoding_would_be(audio: bytes):
    message = {"type": "input_audio_buffer.append", "audio": base64.b64encode(audio).decode()}
    assert encode.append_audio(audio) == json.dumps(message, separators=(",", ":")).encode()


# -- earlier conversations


LOG = [
    Item(id="1", role="system", text="The user is called Ann."),
    Item(id="2", role="user", text="Where is order 7?"),
    Item(
        id="3", kind="function_call", role="assistant", call_id="c", name="f", arguments='{"a": 1}'
    ),
    Item(id="4", kind="function_output", role="tool", call_id="c", output='"ok"'),
    Item(id="5", role="assistant", text="It ships", unheard_text=" today.", status="incomplete"),
    Item(id="6", role="user", text=""),
]


def test_a_log_is_told_in_its_order_and_of_what_was_cut_only_what_was_heard():
    told = list(vendor_items(LOG))
    assert [(item["type"], item.get("role")) for item in told] == [
        ("message", "system"),
        ("message", "user"),
        ("function_call", None),
        ("function_call_output", None),
        ("message", "assistant"),
    ]
    assert told[4]["content"] == [{"type": "output_text", "text": "It ships"}]
    for exceptions in (None, XAI_EXCEPTIONS):
        judge = realtime_judge(exceptions)
        assert [judge.client(encode.create_item(item)) for item in told] == [[]] * len(told)


@example("x" * 33, "x" * 34)
@given(st.text(max_size=80), st.text(max_size=80))
def test_ids_of_other_vendors_are_made_to_fit(one: str, other: str):
    assert len(short_id(one)) <= 32
    assert short_id(one) == (one if len(one) <= 32 else short_id(one))
    assert (short_id(one) == short_id(other)) == (one == other)


def test_a_call_and_its_result_keep_belonging_together():
    long = "call_" + "x" * 60
    call, result = vendor_items(
        [
            Item(id="1", kind="function_call", role="assistant", call_id=long, name="f"),
            Item(id="2", kind="function_output", role="tool", call_id=long),
        ]
    )
    assert call["call_id"] == result["call_id"]
    assert (call["arguments"], result["output"]) == ("{}", "")
