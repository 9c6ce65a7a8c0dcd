"""AWS Signature Version 4, seen from the server: whether a request and the events of its stream are signed rightly.

The rules are those of "AWS API request signing" in the IAM user guide, and for events of the Transcribe developer guide
("setting up a streaming request"): each signature takes in the one before it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import struct
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from voxengine.testing.emulators.http import Request

__all__ = ["Signed", "check_request"]

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<id>[^/]+)/(?P<scope>[^,]+), ?"
    r"SignedHeaders=(?P<names>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
#: The type of a header whose value is a time.
_TIMESTAMP = 8


class Signed(msgspec.Struct):
    """A request whose signature is right. `prior` is the signature that the next event of its stream takes in."""

    key: bytes
    scope: str
    prior: str

    def check_event(self, headers: Any, payload: bytes) -> str | None:
        """What is wrong with a signed event; None: nothing."""
        date, signature = headers.get(":date"), headers.get(":chunk-signature")
        if date is None or signature is None:
            return "an event has no :date or no :chunk-signature"
        # botocore gives milliseconds since 1970.
        ms = date if isinstance(date, int) else round(date.timestamp() * 1000)
        stamp = datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
        name = b":date"
        encoded = struct.pack("!B", len(name)) + name + struct.pack("!BQ", _TIMESTAMP, ms)
        to_sign = "\n".join(
            [
                "AWS4-HMAC-SHA256-PAYLOAD",
                stamp,
                self.scope,
                self.prior,
                hashlib.sha256(encoded).hexdigest(),
                hashlib.sha256(payload).hexdigest(),
            ]
        )
        self.prior = hmac.new(self.key, to_sign.encode(), hashlib.sha256).hexdigest()
        return None if bytes.fromhex(self.prior) == signature else "an event's signature is wrong"


def check_request(request: Request, raw_path: str, secret: str) -> Signed | None:
    """The request, if it was signed with this secret; `raw_path` is the path and the query as they came."""
    found = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    date = request.headers.get("x-amz-date")
    if found is None or date is None:
        return None
    path, _, query = raw_path.partition("?")
    names = found["names"].split(";")
    fields = "".join(
        f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in names
    )
    body = request.headers.get("x-amz-content-sha256") or hashlib.sha256(request.body).hexdigest()
    canonical = "\n".join(
        [
            request.method,
            quote(path, safe="/~"),
            "&".join(sorted(query.split("&"))),
            fields,
            found["names"],
            body,
        ]
    )
    to_sign = "\n".join(
        [
            "AWS4-HMAC-SHA256",
            date,
            found["scope"],
            hashlib.sha256(canonical.encode()).hexdigest(),
        ]
    )
    key = f"AWS4{secret}".encode()
    for part in found["scope"].split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(signature, found["signature"]):
        return None
    return Signed(key, found["scope"], signature)
