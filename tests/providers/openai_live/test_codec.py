"""The codec: pure, in both directions, and judged by the vendor's types."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracles.examples import example
from voxengine.providers.openai_live import codec
from voxengine.providers.openai_live import session as shape
from voxengine.testing.oracles.openai_live import _vocabularies, live_judge

SERVER = _vocabularies()[1].models


def test_every_type_of_the_server_is_in_one_table():
    tables: list[set[str]] = [set(codec.TRANSLATED), set(codec.PASSED_ON), set(codec.NOTHING)]
    assert set.union(*tables) == set(SERVER)
    assert sum(map(len, tables)) == len(SERVER)
    assert all({**codec.PASSED_ON, **codec.NOTHING}.values())


@pytest.mark.parametrize("kind", SERVER)
@pytest.mark.parametrize("full", [False, True])
def test_every_valid_message_is_read(kind: str, full: bool):
    message = example(SERVER[kind], full=full)
    read = codec.decode(json.dumps(message).encode())
    if kind in codec.PASSED_ON:
        assert read == codec.Unknown(kind, message)
    else:
        assert isinstance(read, codec.Message)
        assert read.type == kind


def test_our_voices_are_the_vendors():
    from openai.types.live.built_in_voice import BuiltInVoice

    assert sorted(shape.CAPABILITIES.voices) == sorted(get_args(BuiltInVoice))


@pytest.mark.parametrize(
    "message",
    [
        codec.encode_start({"model": "gpt-live-1"}),
        codec.encode_audio(b"\x01\x02" * 50),
        codec.encode_append("instructions", "Be kind."),
        codec.encode_append("thinking", "Hmm.", "task_1"),
        codec.encode_append("commentary", "Done.", "task_1"),
        codec.encode_close(),
    ],
)
def test_what_we_send_is_valid(message: bytes):
    judge = live_judge()
    assert judge.client(message) == []


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"5",
        b"{}",
        b'{"type":5}',
        b'{"type":"session.usage.updated","usage":"much"}',
        b'{"type":"session.output_transcript.delta","delta":5}',
        b'{"type":"session.delegation.created","delegation":{}}',
        b"\xff\xfe",
        b'{"type":"error","error":[]}',
    ],
)
def test_what_is_no_message_is_malformed(payload: bytes):
    assert isinstance(codec.decode(payload), codec.Malformed)


def test_an_unknown_type_may_have_any_form():
    payload = b'{"type":"session.mood","delta":5,"session":"x"}'
    assert codec.decode(memoryview(payload)) == codec.Unknown("session.mood", json.loads(payload))


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none()
        | st.booleans()
        | st.floats(allow_nan=False)
        | st.text(max_size=5)
        | st.sampled_from(sorted(SERVER)),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "delta", "usage", "session", "x"]), inner, max_size=4
            )
        ),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode())
)
def test_decoding_never_raises(payload: bytes):
    assert isinstance(codec.decode(payload), codec.Message | codec.Unknown | codec.Malformed)


@given(st.text(max_size=400), st.integers(4, 50))
def test_pieces_are_the_text_and_none_is_too_long(text: str, limit: int):
    pieces = shape.pieces(text, limit)
    assert "".join(pieces) == text
    assert all(len(piece.encode()) <= limit for piece in pieces)


def test_history_has_an_upper_bound_in_bytes():
    from voxengine.conversation.items import Item

    items = [Item(id=str(n), role="user", text="ä" * 1000) for n in range(50)]
    told: list[dict[str, Any]] = shape.history_of(items)
    size = sum(len(m["content"][0]["text"].encode()) for m in told)
    assert len(told) == 12
    assert size <= shape.MAX_HISTORY_BYTES
