"""Connections through proxies, which are told no more than they must."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.net.peers import (
    CLOSE,
    Client,
    Peer,
    http_proxy,
    socks4_proxy,
    socks5_proxy,
    tls_pair,
    ws_server,
)
from voxengine.errors import ConnectionError


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def echo(peer: Peer) -> None:
    while True:
        opcode, payload = await peer.receive()
        peer.send(opcode, payload)
        if opcode == CLOSE:
            return


async def talk(client: Client, url: str, **options: Any) -> None:
    ws = await client.connect(url, **options)
    ws.send_text(b"x" * 100_000)
    await client.until(lambda: client.texts)
    assert client.texts == [b"x" * 100_000]
    await ws.close()
    assert client.closed[0].cause == "local"


@contextlib.asynccontextmanager
async def server(tls: bool) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    with tls_pair() as (server_tls, client_tls):
        async with ws_server(echo, tls=server_tls if tls else None) as url:
            yield url, {"ssl_context": client_tls}


@pytest.mark.parametrize("tls", [False, True])
async def test_an_http_proxy(tls: bool) -> None:
    seen: list[dict[str, str]] = []
    async with server(tls) as (url, options), http_proxy(seen) as port:
        await talk(Client(), url, proxy=f"http://me:pa%3Ass@127.0.0.1:{port}", **options)
    host = url.split("/")[2]
    assert seen == [
        {"": f"CONNECT {host} HTTP/1.1", "host": host, "proxy-authorization": "Basic bWU6cGE6c3M="}
    ]


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_a_socks5_proxy(tls: bool, scheme: str) -> None:
    seen: list[Any] = []
    async with server(tls) as (url, options):
        target = int(url.split(":")[2].split("/")[0])
        async with socks5_proxy(seen, target, "me", "word") as port:
            await talk(Client(), url, proxy=f"{scheme}://me:word@127.0.0.1:{port}", **options)
    assert seen == [(bytes([127, 0, 0, 1]), target)]


async def test_a_socks4_proxy() -> None:
    seen: list[Any] = []
    async with server(False) as (url, _):
        target = int(url.split(":")[2].split("/")[0])
        async with socks4_proxy(seen, target) as port:
            await talk(Client(), url, proxy=f"socks4://me:@127.0.0.1:{port}")
    assert seen == [(bytes([127, 0, 0, 1]), target, b"me")]


async def test_the_proxy_of_the_environment_looks_the_name_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Any] = []
    async with server(False) as (url, _):
        target = int(url.split(":")[2].split("/")[0])
        async with socks5_proxy(seen, target) as port:
            monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{port}")
            await talk(Client(), "ws://api.example:81/")
    assert seen == [(b"api.example", 81)]


async def fails(proxy: str, **options: Any) -> ConnectionError:
    client = Client()
    with pytest.raises(ConnectionError) as failure:
        await client.connect("wss://api.example/", proxy=proxy, timeout=5, **options)
    assert "geheim" not in str(failure.value)
    assert failure.value.provider == "acme"
    assert not client.closed
    return failure.value


@pytest.mark.parametrize(
    ("refuse", "retryable"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", False),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", True),
        (b"nonsense\r\n\r\n", True),
        (b"HTTP", True),
    ],
)
async def test_an_http_proxy_that_refuses(refuse: bytes, retryable: bool) -> None:
    async with http_proxy([], refuse) as port:
        error = await fails(f"http://me:geheim@127.0.0.1:{port}")
    assert (error.code, error.retryable) == ("proxy", retryable)
    assert f"http://127.0.0.1:{port}" in str(error)


async def test_a_socks_proxy_that_refuses() -> None:
    async with socks5_proxy([], 1, refuse=2) as port:
        error = await fails(f"socks5://127.0.0.1:{port}")
    assert error.code == "proxy"
    async with socks5_proxy([], 1, "me", "other") as port:
        error = await fails(f"socks5://me:geheim@127.0.0.1:{port}")
    assert (error.code, error.retryable) == ("proxy", False)


async def test_a_proxy_that_is_not_there() -> None:
    for scheme in ("http", "socks5", "socks4"):
        error = await fails(f"{scheme}://127.0.0.1:1")
        assert (error.code, error.retryable) == ("proxy", True)


async def test_a_proxy_that_hangs_up() -> None:
    async with http_proxy([], b"HTTP/1.1 2") as port:
        error = await fails(f"http://127.0.0.1:{port}")
    assert error.code == "proxy"


async def test_no_key_is_ever_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)
    for name in ("", "voxengine.net", "picows", "picows.client", "aiofastnet", "asyncio"):
        logging.getLogger(name).setLevel(1)
    client, secret = Client(), "sk-4f9a8b7c6d5e4f3a"
    try:
        async with server(False) as (url, _), http_proxy([]) as port:
            ws = await client.connect(
                f"{url}&api-key={secret}q".replace("ws://", f"ws://me:{secret}u@"),
                headers={"X-Api-Key": f"{secret}h"},
                subprotocols=["one", f"key.{secret}s"],
                proxy=f"http://me:{secret}p@127.0.0.1:{port}",
                on_closed=lambda closed: client.closed.append(closed),
            )
            ws.send_text(f"payload {secret}".encode())
            await client.until(lambda: client.texts)
            await ws.close()
        async with http_proxy([], b"HTTP/1.1 407 No\r\n\r\n") as port:
            await fails(f"http://me:{secret}@127.0.0.1:{port}", headers={"Authorization": secret})
    finally:
        for name in ("", "voxengine.net", "picows", "picows.client", "aiofastnet", "asyncio"):
            logging.getLogger(name).setLevel(logging.WARNING if not name else logging.NOTSET)
    assert any(r.name == "voxengine.net" for r in caplog.records)
    assert not any(r.name.startswith("picows") for r in caplog.records)
    for record in caplog.records:
        text = record.getMessage() + repr(record.args) + str(record.exc_text)
        assert secret not in text, record
        assert "payload" not in text, record
    assert secret not in repr(ws)
