"""The decoder: what is no message, or none that we know; and that nothing grows with a connection."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.openai.messages import SERVER, decoder, give, one, wire
from voxengine import events as ev
from voxengine.providers.openai.decode import TRANSLATED, Decoder

TRANSCRIPT = "conversation.item.input_audio_transcription"
SPEECH = "response.output_audio_transcript"
#: Every field that a message of a known type is read by.
FIELDS = sorted({name for message in SERVER.values() for name in message} - {"type"})

WRONG: tuple[Any, ...] = (5, "text", [1], {"a": 1}, True, 1e300, [[]], {"id": 5})


def test_an_unknown_type_is_passed_on_as_it_came():
    message = {"type": "response.hologram.delta", "item": 5, "delta": {"x": [1]}, "error": None}
    event = one(list(decoder().decode(wire(message))), ev.RawEvent)
    assert (event.name, event.payload) == (message["type"], message)


@pytest.mark.parametrize("kind", sorted(TRANSLATED - {"error"}))
def test_wrong_shapes_are_complained_of_and_raise_nothing(kind: str):
    complaints = 0
    for name, wrong in itertools.product(FIELDS, WRONG):
        for event in give(decoder(), kind, **{name: wrong}):
            if isinstance(event, ev.ErrorGeneral):
                complaints += 1
                assert event.code == "bad_message"
                assert (event.error or "").startswith("openai sent ")
    assert complaints > len(FIELDS)


@pytest.mark.parametrize("kind", sorted(SERVER))
def test_fields_that_are_null_are_as_if_they_were_missing(kind: str):
    for name in FIELDS:
        absent = {key: value for key, value in SERVER[kind].items() if key != name}
        null = {**absent, name: None}
        with_null, without = (list(decoder().decode(wire(m))) for m in (null, absent))
        assert [_plain(event) for event in with_null] == [_plain(event) for event in without], name
        assert not [e for e in without if getattr(e, "code", "") == "bad_message"]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"5",
        b"{}",
        b'{"type":null}',
        b'{"type":5}',
        b'{"type":["a"]}',
        b'{"type":{"a":1}}',
        b'\xff\xfe{"type":"error"}',
        b'{"type":"error","error":"\xff"}',
        b'{"type":"response.output_audio.delta","delta":"%%%"}',
        b'{"type":"response.output_audio.delta","delta":"AAA"}',
        b'{"type":"input_audio_buffer.speech_started","audio_start_ms":1e999}',
        b'{"type":"error","error":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"type":"new","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"type":"new","x":' + b"9" * 10_000 + b"}",
    ],
    ids=lambda payload: payload[:40].decode("ascii", "replace"),
)
def test_what_is_no_event_is_a_complaint(payload: bytes):
    event = one(list(decoder().decode(payload)), ev.ErrorGeneral)
    assert (event.code, event.recoverable) == ("bad_message", True)
    assert len(event.error or "") < 300


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["type", *FIELDS]), inner),
    ).map(lambda value: json.dumps(value).encode())
)
def test_nothing_is_ever_raised(payload: bytes):
    for event in decoder().decode(payload):
        assert isinstance(event, ev.ProviderEvent)


# -- memory


def test_what_is_remembered_is_bounded():
    at = decoder()
    for n in range(500):
        give(at, f"{TRANSCRIPT}.delta", item_id=f"u{n}", delta="x")
        give(at, f"{SPEECH}.delta", item_id=f"a{n}")
        give(at, "response.output_audio.delta", item_id=f"a{n}")
        give(at, "response.function_call_arguments.done", call_id=f"c{n}")
        item = {"type": "function_call", "id": "i", "call_id": f"c{n}", "name": "f"}
        give(at, "response.output_item.added", item=item)
        at.asides = 1
        give(at, "response.created", response={"id": f"r{n}"})
    assert all(size <= 65 for size in _sizes(at)), _sizes(at)


def test_the_newest_is_kept():
    at = decoder()
    for n in range(100):
        give(at, f"{TRANSCRIPT}.delta", item_id=f"u{n}", delta="x")
    event = one(give(at, f"{TRANSCRIPT}.delta", item_id="u99", delta="y"), ev.TranscriptPartial)
    assert event.text == "xy"


def _sizes(at: Decoder) -> list[int]:
    return [
        len(held)
        for held in (
            at.partial_texts,
            at.text_parts,
            at.told_calls,
            at.tool_names,
            at.aside_ids,
            at.audio._before,
        )
    ]


def _plain(event: ev.ProviderEvent) -> Any:
    if isinstance(event, ev.RawEvent):
        return {key: value for key, value in event.payload.items() if value is not None}
    return event
