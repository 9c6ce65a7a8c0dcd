"""Each way in which a connection cannot be opened is an error of its own, without the key in it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import Any

import picows
import pytest

from tests.net.peers import (
    TEXT,
    Client,
    Peer,
    accept,
    http_server,
    read_head,
    tcp_server,
    tls_pair,
    ws_server,
)
from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    ProviderError,
    RateLimitError,
)
from voxengine.net import WebSocket
from voxengine.net.handshake import Attempt
from voxengine.net.listener import Listener
from voxengine.net.masking import Mask
from voxengine.net.websocket import Settings

KEY = "sk-proj-4f9a8b7c6d5e4f3a2b1c"


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def refused(url: str, **options: Any) -> ProviderError:
    """The error of an attempt that must fail; nothing of it is left, and no callback was called."""
    client = Client()
    with pytest.raises(ProviderError) as failure:
        await client.connect(
            url + f"?api-key={KEY}&model=m", headers={"Authorization": f"Bearer {KEY}"}, **options
        )
    error = failure.value
    assert error.provider == "acme"
    assert KEY not in str(error)
    assert client.closed == []
    assert client.texts == []
    return error


@pytest.mark.parametrize(
    ("status", "kind", "code", "retryable"),
    [
        ("401 Unauthorized", AuthenticationError, "auth", False),
        ("403 Forbidden", AuthenticationError, "auth", False),
        ("404 Not Found", ConnectionError, "not_found", False),
        ("400 Bad Request", ConnectionError, "rejected", False),
        ("418 I'm a Teapot", ConnectionError, "rejected", False),
        ("200 OK", ConnectionError, "rejected", False),
        ("302 Found", ConnectionError, "rejected", False),
        ("429 Too Many Requests", RateLimitError, "rate_limit", True),
        ("500 Internal Server Error", ConnectionError, "server", True),
        ("503", ConnectionError, "server", True),
        ("522 Origin Unreachable", ConnectionError, "server", True),
        ("529 Overloaded", ConnectionError, "server", True),
    ],
)
async def test_the_status_decides_and_the_servers_words_are_shown(
    status: str, kind: type[ProviderError], code: str, retryable: bool
) -> None:
    body = b'{"error": {"message": "Incorrect key ' + KEY.encode() + b'\\nprovided.", "code": "x"}}'
    async with http_server(answer(status, body, "Location: ws://elsewhere/")) as url:
        error = await refused(url)
    assert type(error) is kind
    assert (error.code, error.retryable) == (code, retryable)
    assert f"answered {status[:3]}: Incorrect key *** provided." in str(error)
    assert f"{url}?api-key=***&model=m" in str(error)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"message": "of another shape"}', "of another shape"),
        (b'{"detail": [{"msg": "and another"}]}', "and another"),
        (b'{"error": "a text"}', "a text"),
        (b"<html><style>p {}</style><h1>Bad   gateway</h1></html>", "Bad gateway"),
        (b"plain \xff text", "plain � text"),
        (b"x" * 5000, "x" * 297 + "..."),
        (b"", None),
        (b"{}", None),
    ],
)
async def test_words_in_all_shapes(body: bytes, shown: str | None) -> None:
    async with http_server(answer("500 Error", body)) as url:
        error = await refused(url)
    assert str(error) == f"{url}?api-key=***&model=m answered 500" + (f": {shown}" if shown else "")


async def test_words_that_come_after_the_head() -> None:
    body = b'{"error": {"message": "late words", "code": "insufficient_quota"}}'
    whole = answer("429 Too Many Requests", body)
    head = whole[: -len(body)]
    async with http_server(head, body[:10], body[10:], stay=True) as url:
        error = await refused(url)
    assert (error.code, error.retryable) == ("quota", False)
    assert "late words" in str(error)


async def test_words_that_never_come_hold_nothing_up() -> None:
    async with http_server(b"HTTP/1.1 401 No\r\nContent-Length: 50\r\n\r\n{", stay=True) as url:
        error = await refused(url)
        assert asyncio.get_running_loop().time() <= 0.5
    assert type(error) is AuthenticationError


async def test_words_in_chunks() -> None:
    head = b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with http_server(head + b'b;x=y\r\n{"message":\r\n9\r\n "parts"}\r\n0\r\n\r\n') as url:
        error = await refused(url)
    assert str(error).endswith("answered 400: parts")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("Retry-After: 7", 7.0),
        ("retry-after: 1.5", 1.5),
        ("Retry-After-Ms: 250", 0.25),
        # The virtual clock stands at 15 June 2025, 15:06:40.
        ("Retry-After: Sun, 15 Jun 2025 15:07:40 GMT", 60.0),
        ("Retry-After: Sun, 15 Jun 2025 15:00:00 GMT", 0.0),
        ("Retry-After: soon", None),
        ("X-Other: 1", None),
    ],
)
async def test_how_long_to_wait(header: str, seconds: float | None) -> None:
    async with http_server(answer("429 Too Many Requests", b"", header)) as url:
        error = await refused(url)
    assert isinstance(error, RateLimitError)
    assert (error.retry_after, error.code, error.retryable) == (seconds, "rate_limit", True)


async def test_a_server_that_never_answers_uses_up_the_budget() -> None:
    async with http_server(stay=True) as url:
        error = await refused(url, timeout=4)
        assert asyncio.get_running_loop().time() == 4
    assert (error.code, error.retryable) == ("timeout", True)
    assert "within 4 s" in str(error)
    assert "handshake" in str(error)


async def test_a_server_that_never_speaks_tls_uses_up_the_budget() -> None:
    async def stare(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with tcp_server(stare) as port:
        error = await refused(f"wss://127.0.0.1:{port}/", timeout=4)
        assert asyncio.get_running_loop().time() == 4
    assert error.code == "timeout"


async def test_a_cancelled_attempt_leaves_nothing_behind() -> None:
    async with http_server(stay=True) as url:
        attempt = asyncio.create_task(Client().connect(url))
        await asyncio.sleep(1)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt


async def test_an_attempt_that_is_cancelled_when_it_has_just_succeeded_tells_nobody() -> None:
    client = Client()

    async def greet(peer: Peer) -> None:
        peer.send(TEXT, b"hello")
        await peer.rest()

    async with ws_server(greet) as url:
        attempt: asyncio.Task[Any]

        def change_mind(view: memoryview) -> None:
            client.texts.append(bytes(view))
            attempt.cancel()

        attempt = asyncio.create_task(client.connect(url, on_text=change_mind))
        with pytest.raises(asyncio.CancelledError):
            await attempt
    assert client.texts == [b"hello"]
    assert client.closed == []


async def test_a_connection_that_nobody_waits_for_any_more_is_closed_when_it_opens() -> None:
    client = Client()
    mask = Mask([], {}, [])
    settings = Settings("here", "acme", mask, 20, 10, 2, 2**18, 2**25)
    async with ws_server(Peer.rest) as url:
        websocket = WebSocket(settings, client.closed.append, None)
        websocket.discard()
        listener = Listener(websocket, client.texts.append, None, 1000)  # type: ignore[arg-type]
        await picows.ws_connect(lambda *_: listener, url, websocket_handshake_timeout=None)
        await websocket.close()
        assert asyncio.get_running_loop().time() == 0
    assert client.closed == []


def test_no_way_of_failing_shows_the_key() -> None:
    attempt = Attempt("wss://h", "http://p", "acme", Mask([f"wss://h/?key={KEY}"], {}, []))
    for stage in ("dns", "connect", "handshake"):
        for error in (OSError, ssl.SSLError, ConnectionResetError, TimeoutError, ValueError):
            assert KEY not in str(attempt.broken(error(f"about {KEY}"), stage))
    assert KEY not in str(attempt.malformed(KEY))


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 101 Swi"])
async def test_a_server_that_hangs_up(part: bytes) -> None:
    async with http_server(part) as url:
        error = await refused(url)
    assert (error.code, error.retryable) == ("closed", True)


@pytest.mark.parametrize(
    "bytes_", [b"220 smtp.example ESMTP\r\n\r\n", b"\x00\x01\r\n\r\n", b"x" * 20_000]
)
async def test_a_server_that_does_not_speak_http(bytes_: bytes) -> None:
    async with http_server(bytes_) as url:
        error = await refused(url)
    assert (error.code, error.retryable) == ("protocol", False)


@pytest.mark.parametrize(
    "more",
    [
        {"Sec-WebSocket-Accept": "bm90IGl0"},
        {"Upgrade": "h2c"},
        {"Sec-WebSocket-Protocol": "never-offered"},
        {"Sec-WebSocket-Extensions": "permessage-deflate"},
    ],
)
async def test_an_upgrade_against_the_rules(more: dict[str, str]) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        writer.write(accept(head, **more))
        await reader.read()

    async with tcp_server(handle) as port:
        error = await refused(f"ws://127.0.0.1:{port}/", subprotocols=["offered"])
    assert (error.code, error.retryable) == ("protocol", False)


async def test_a_port_where_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    error = await refused(f"ws://127.0.0.1:{port}/")
    assert (error.code, error.retryable) == ("refused", True)
    assert isinstance(error, OSError)


async def test_a_name_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    error = await refused("wss://nowhere.example/")
    assert (error.code, error.retryable) == ("dns", True)


async def test_a_look_up_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(*_: object, **__: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", slow)
    error = await refused("wss://nowhere.example/", timeout=2)
    assert asyncio.get_running_loop().time() == 2
    assert error.code == "timeout"
    assert "look-up" in str(error)


async def test_a_certificate_that_is_not_trusted() -> None:
    with tls_pair() as (server_tls, _):

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ssl.SSLError, OSError):
                assert await reader.read() == b""

        async with tcp_server(handle, tls=server_tls) as port:
            error = await refused(f"wss://127.0.0.1:{port}/")
    assert (error.code, error.retryable) == ("tls", False)
    assert "certificate" in str(error)


async def test_a_certificate_of_another_host() -> None:
    with tls_pair() as (server_tls, client_tls):

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()

        async with tcp_server(handle, tls=server_tls) as port:
            error = await refused(f"wss://localhost:{port}/", ssl_context=client_tls)
    assert (error.code, error.retryable) == ("tls", False)


async def test_tls_towards_a_server_without_it() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()

    async with tcp_server(handle) as port:
        error = await refused(f"wss://127.0.0.1:{port}/")
    assert (error.code, error.retryable) == ("tls", True)


async def test_an_address_that_does_not_answer_is_overtaken_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = Client()

    async def answer_close(peer: Peer) -> None:
        peer.send(*await peer.receive())

    with socket.socket() as deaf, contextlib.ExitStack() as stack:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(4):  # its queue is full: nobody else gets an answer
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        with socket.create_server(("127.0.0.1", 0)) as taken:
            shut = taken.getsockname()
        async with ws_server(answer_close) as url:
            port = int(url.split(":")[2].split("/")[0])
            hosts = [deaf.getsockname(), shut, ("127.0.0.1", port)]
            found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", host) for host in hosts]

            async def look_up(*_: object, **__: object) -> Any:
                return found

            loop = asyncio.get_running_loop()
            monkeypatch.setattr(loop, "getaddrinfo", look_up)
            ws = await client.connect(f"ws://many.example:{port}/", proxy="")
            assert loop.time() == 0.25
            await ws.close()


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"Authorization": f"Bearer {KEY}\n"}},
        {"subprotocols": ["a b"]},
        {"proxy": "ftp://p"},
        {"timeout": 0},
    ],
)
async def test_wrong_arguments_are_refused_before_anything_is_opened(
    options: dict[str, Any],
) -> None:
    with pytest.raises(ConfigurationError) as failure:
        await Client().connect("ws://127.0.0.1:1/", **options)
    assert KEY not in str(failure.value)
