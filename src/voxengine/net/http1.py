"""The little of HTTP/1.1 that a WebSocket's server needs: the head of a request, and an answer that ends it.

Pure: bytes in, a `Request` out; an `Answer` in, bytes out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

__all__ = ["MAX_HEAD", "Answer", "BadRequest", "Request", "json_answer", "parse_head"]

#: Bytes of a request's head that are read; more is refused.
MAX_HEAD = 16 * 1024


class BadRequest(Exception):
    """What came is not a request that is understood. `status` is the HTTP status of the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Request(msgspec.Struct, frozen=True):
    """A request. Names of headers are in lower case; of a query's names the last one counts."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    #: The IP address of the client, empty where unknown, and whether it came by TLS.
    address: str = ""
    secure: bool = False

    def __repr__(self) -> str:
        # Neither headers, which hold keys, nor the query and the body, which may.
        return f"Request({self.method!r}, {self.path!r}, address={self.address!r})"

    @property
    def upgrades(self) -> bool:
        """Whether it asks for a WebSocket."""
        return self.headers.get("upgrade", "").lower() == "websocket"

    @property
    def subprotocols(self) -> tuple[str, ...]:
        """The WebSocket subprotocols that are offered, best first."""
        offered = self.headers.get("sec-websocket-protocol", "")
        return tuple(name.strip() for name in offered.split(",") if name.strip())

    @property
    def bearer(self) -> str | None:
        """The token of the `Authorization` header, None without one."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" and token.strip() else None


class Answer(msgspec.Struct, frozen=True):
    """An answer, after which the connection is closed."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}

    def to_bytes(self, *, head_only: bool = False) -> bytes:
        """The answer as it goes over the wire."""
        try:
            phrase = HTTPStatus(self.status).phrase
        except ValueError:  # a vendor's own, such as 529
            phrase = ""
        fields = {**self.headers, "Content-Length": str(len(self.body)), "Connection": "close"}
        lines = [f"HTTP/1.1 {self.status} {phrase}", *(f"{k}: {v}" for k, v in fields.items())]
        return "\r\n".join([*lines, "", ""]).encode() + (b"" if head_only else self.body)


def json_answer(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer whose body is JSON."""
    body = json.dumps(value).encode()
    return Answer(status, body, {"Content-Type": "application/json", **(headers or {})})


def parse_head(head: bytes) -> Request:
    """The request whose head this is, without the empty line after it.

    Raises:
        BadRequest: it is none.
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or parts[2] != "HTTP/1.1":
        raise BadRequest(400, "this is not an HTTP/1.1 request")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest(400, "a header is malformed")
        key = name.lower()
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    try:
        url = urlsplit(parts[1])
    except ValueError:
        raise BadRequest(400, "the address that is asked for is malformed") from None
    query = dict(parse_qsl(url.query, keep_blank_values=True))
    return Request(parts[0], url.path, query, headers)
