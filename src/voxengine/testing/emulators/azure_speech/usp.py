"""The frames of Azure's speech protocol: headers, a blank line, a body; binary ones begin with the headers' length."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from voxengine.testing.oracles.azure_speech import Frame

__all__ = ["pack", "unpack"]

_LINE = "\r\n"


def pack(frame: Frame) -> str | bytes:
    """A frame as it is sent: one with bytes as a binary message, any other as text."""
    headers = "".join(f"{name}:{value}{_LINE}" for name, value in frame.headers.items())
    head = f"{headers}Path:{frame.path}{_LINE}"
    if isinstance(frame.body, bytes):
        return len(head).to_bytes(2, "big") + head.encode() + frame.body
    body = frame.body if isinstance(frame.body, str) else json.dumps(frame.body)
    kind = "" if isinstance(frame.body, str) else f"Content-Type:application/json{_LINE}"
    return f"{kind}{head}{_LINE}{body}"


def unpack(message: str | bytes) -> Frame:
    """The frame that was sent.

    Raises:
        ValueError: it is none.
    """
    if isinstance(message, bytes):
        length = int.from_bytes(message[:2], "big")
        headers = _headers(message[2 : 2 + length].decode())
        return Frame(_path(headers), headers, message[2 + length :])
    head, _, text = message.partition(_LINE * 2)
    headers = _headers(head)
    return Frame(_path(headers), headers, _body(headers, text))


def _headers(block: str) -> dict[str, str]:
    lines = (line.partition(":") for line in block.split(_LINE) if line)
    return {name.strip(): value.strip() for name, _, value in lines}


def _path(headers: Mapping[str, str]) -> str:
    path = headers.get("Path")
    if not path:
        raise ValueError("a message has a path")
    return path


def _body(headers: Mapping[str, str], text: str) -> dict[str, Any] | str:
    if "json" in headers.get("Content-Type", "") or text.startswith("{"):
        found = json.loads(text)
        if not isinstance(found, dict):
            raise ValueError("a body of JSON is an object")
        return found
    return text
