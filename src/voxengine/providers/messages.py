"""What the codecs of all vendors have in common: JSON messages with a type, the unknown and the malformed; pure.

A codec decodes each message once, into a flat struct of the fields that it reads. Only what that struct cannot take, or
whose type is new, is looked at again: it is `Unknown` (and becomes a `RawEvent`), or `Malformed` (an `ErrorGeneral`).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from functools import partial
from typing import Any, Protocol, TypeVar

import msgspec
import pybase64

__all__ = [
    "UNREADABLE",
    "Malformed",
    "Typed",
    "Unknown",
    "decode_base64",
    "decode_plain",
    "decoder_of",
    "encode_event",
    "not_read",
]

#: What decoding raises of whatever a peer may send: no JSON, no UTF-8, nested too deeply.
UNREADABLE = (msgspec.DecodeError, ValueError, RecursionError)


class Typed(Protocol):
    """A message that says what it is."""

    type: str


class Unknown(msgspec.Struct, frozen=True):
    """A message that we have no name for, as it came. Where a vendor's messages have no type, `type` is their name."""

    type: str
    payload: dict[str, Any]


class Malformed(msgspec.Struct, frozen=True):
    """What came is no message, or not of the form that its type has. `words` say so."""

    words: str


_M = TypeVar("_M", bound=Typed)

#: A message as plain dicts and lists.
decode_plain = msgspec.json.Decoder().decode

#: Bytes from base64; a ValueError if it is none. With `validate` it is twice as fast: nothing has to be skipped.
decode_base64: Callable[[str], bytes] = partial(pybase64.b64decode, validate=True)


def decoder_of(
    form: type[_M], known: Container[str]
) -> Callable[[bytes | memoryview], _M | Unknown | Malformed]:
    """What decodes a text message, and never raises.

    Args:
        form: the struct that a message of any known type fits.
        known: the types that are known; all of them must be of that form.
    """
    read = msgspec.json.Decoder(form).decode

    def decode(payload: bytes | memoryview) -> _M | Unknown | Malformed:
        """What a text message is. Never raises."""
        try:
            message = read(payload)
        except UNREADABLE as failure:
            return not_read(payload, known, failure)
        return message if message.type in known else not_read(payload, known)

    return decode


def not_read(
    payload: bytes | memoryview, known: Container[str], failure: Exception | None = None
) -> Unknown | Malformed:
    """What a message is that was not read: of a type unknown to us it may have any form.

    `failure` is why it could not be read, None where only its type is new.
    """
    try:
        plain = decode_plain(payload)
        kind = plain["type"]
    except (*UNREADABLE, KeyError, TypeError) as unreadable:
        return Malformed(f"a message that has no type: {failure or unreadable}")
    if not isinstance(kind, str):
        return Malformed("a message whose type is no text")
    if kind in known:
        return Malformed(f"{kind} in a form that cannot be read: {failure}")
    return Unknown(kind, plain)


def encode_event(event: Mapping[str, Any]) -> bytes:
    """Any message, in the vendor's own words."""
    return msgspec.json.encode(event)
