"""`application/vnd.amazon.eventstream`: frames of headers and a payload, each with two checksums.

Encoding is ours, decoding botocore's. A frame that a client sends is wrapped in another that is signed.
"""

from __future__ import annotations

import struct
from binascii import crc32
from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["CONTENT_TYPE", "Frame", "FrameReader", "encode_frame", "exception_frame"]

CONTENT_TYPE = "application/vnd.amazon.eventstream"
#: The type of a header whose value is text.
_STRING = 7


class Frame(msgspec.Struct, frozen=True):
    """A frame. Values of headers are text, bytes, numbers or times."""

    headers: Mapping[str, Any]
    payload: bytes


class FrameReader:
    """Puts frames together from the pieces in which they arrive."""

    def __init__(self) -> None:
        from botocore.eventstream import EventStreamBuffer

        self._buffer = EventStreamBuffer()

    def feed(self, data: bytes) -> list[Frame]:
        """Take some more; returns what is complete.

        Raises:
            ValueError: it is no frame, or a checksum is not right.
        """
        from botocore.eventstream import ParserError

        self._buffer.add_data(data)
        try:
            return [Frame(dict(message.headers), message.payload) for message in self._buffer]
        except ParserError as failure:
            raise ValueError(f"no frame: {failure}") from None


def encode_frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """A frame whose headers are all text."""
    head = b"".join(
        struct.pack("!B", len(name.encode()))
        + name.encode()
        + struct.pack("!BH", _STRING, len(value.encode()))
        + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack("!II", len(head) + len(payload) + 16, len(head))
    prelude += struct.pack("!I", crc32(prelude))
    body = prelude + head + payload
    return body + struct.pack("!I", crc32(body))


def exception_frame(name: str, message: str) -> bytes:
    """A modelled exception, as the member of the stream's union that has this name."""
    headers = {
        ":message-type": "exception",
        ":exception-type": name,
        ":content-type": "application/json",
    }
    return encode_frame(headers, msgspec.json.encode({"message": message}))
