"""The requests that an emulator takes, body and all. Pure: bytes in, a `Request` out."""

from __future__ import annotations

import msgspec

from voxengine.net.http1 import MAX_HEAD, Answer, BadRequest, Request, json_answer, parse_head

__all__ = [
    "MAX_BODY",
    "Answer",
    "BadRequest",
    "Request",
    "RequestReader",
    "json_answer",
]

#: Bytes of a request's body that are read; more is refused.
MAX_BODY = 1024 * 1024


class RequestReader:
    """Puts one request together from the pieces in which it arrives. `max_body`: bytes of a body that are taken."""

    def __init__(self, max_body: int = MAX_BODY) -> None:
        self._max_body = max_body
        self._data = bytearray()
        self._head: Request | None = None
        self._body_at = 0
        self._length = 0

    @property
    def rest(self) -> bytes:
        """What came after the request."""
        return bytes(self._data[self._body_at + self._length :])

    def feed(self, data: bytes) -> Request | None:
        """Take some more; returns the request when it is complete.

        Raises:
            BadRequest: it is none, or too large.
        """
        self._data += data
        if self._head is None:
            end = self._data.find(b"\r\n\r\n")
            if end < 0 and len(self._data) <= MAX_HEAD:
                return None
            if not 0 <= end <= MAX_HEAD:
                raise BadRequest(431, "the head of the request is too large")
            self._head = parse_head(bytes(self._data[:end]))
            self._body_at = end + 4
            self._length = _length(self._head, self._max_body)
        if len(self._data) < self._body_at + self._length:
            return None
        body = bytes(self._data[self._body_at : self._body_at + self._length])
        return msgspec.structs.replace(self._head, body=body)


def _length(request: Request, max_body: int) -> int:
    if "transfer-encoding" in request.headers:
        raise BadRequest(411, "the body needs a Content-Length")
    length = request.headers.get("content-length", "0")
    if not length.isdecimal():
        raise BadRequest(400, "the Content-Length is no number")
    if int(length) > max_body:
        raise BadRequest(413, "the body is too large")
    return int(length)
