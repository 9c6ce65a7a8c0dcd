"""What all codecs do with messages: the known, the unknown and the malformed."""

from __future__ import annotations

import binascii
from typing import Any

import msgspec
import pytest

from voxengine.providers.messages import Malformed, Unknown, decode_base64, decoder_of, encode_event


class Form(msgspec.Struct):
    type: str
    text: str = ""


decode = decoder_of(Form, {"said"})


def test_a_known_message_is_read():
    assert decode(b'{"type":"said","text":"hello","new":[1]}') == Form("said", "hello")


@pytest.mark.parametrize("more", [{}, {"text": 7}, {"text": {"deep": [None]}}])
def test_one_of_another_type_may_have_any_form(more: dict[str, Any]):
    message = {"type": "mood", **more}
    found = decode(memoryview(encode_event(message)))
    assert found == Unknown("mood", message)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "no type"),
        (b"\xff", "no type"),
        (b"[]", "no type"),
        (b"7", "no type"),
        (b'{"text":"hello"}', "no type"),
        (b"[" * 100_000, "no type"),
        (b'{"type":1}', "whose type is no text"),
        (b'{"type":"said","text":7}', "said in a form that cannot be read: Expected `str`"),
    ],
)
def test_what_is_none_is_told_in_words(payload: bytes, words: str):
    found = decode(payload)
    assert isinstance(found, Malformed)
    assert words in found.words


def test_base64_is_checked():
    assert decode_base64("AAEC") == b"\0\1\2"
    with pytest.raises(binascii.Error):
        decode_base64("AA%%EC")
