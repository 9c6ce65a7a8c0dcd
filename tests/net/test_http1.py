"""Requests as they are read, and as they are shown."""

from __future__ import annotations

from voxengine.net.http1 import parse_head


def test_a_request_is_shown_without_what_may_be_secret() -> None:
    head = (
        b"GET /v1/realtime?model=play&token=in-address HTTP/1.1\r\n"
        b"Host: localhost\r\nAuthorization: Bearer sk-in-header\r\n"
        b"Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.sk-in-protocol"
    )
    request = parse_head(head)
    assert request.bearer == "sk-in-header"
    for shown in (repr(request), str(request), f"{request}"):
        assert shown == "Request('GET', '/v1/realtime', address='')"
