"""How the key is shown, tokens that are fetched anew, and keys that do not last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.providers.openai.calls import (
    DIALECTS,
    KEY,
    Call,
    calling,
    emulated,
    make,
    peers,
    provider_of,
)
from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    MessageError,
    ProviderError,
    RateLimitError,
)
from voxengine.providers.openai import ClientSecret
from voxengine.testing.emulators.http import Answer, json_answer


async def shown(dialect: str = "openai", **settings: Any) -> tuple[dict[str, str], dict[str, str]]:
    """Headers and parameters of the address that a server is shown."""
    async with peers() as server:
        call = server.call(dialect, **settings)
        await call.provider.connect()
        await call.provider.disconnect()
        request = server.requests[0]
        return dict(request.headers), dict(request.query)


# -- how the key is shown


async def test_a_key_is_a_bearer():
    headers, query = await shown()
    assert headers["authorization"] == f"Bearer {KEY}"
    assert query == {"model": "gpt-realtime-2.1"}


async def test_azure_has_a_header_of_its_own_for_keys():
    headers, query = await shown("azure", model="my-deployment")
    assert headers["api-key"] == KEY
    assert "authorization" not in headers
    assert query == {"model": "my-deployment"}


async def test_azure_takes_tokens_as_bearers():
    headers, _ = await shown("azure", api_key=None, token_provider=lambda: "entra-token-0")
    assert headers["authorization"] == "Bearer entra-token-0"
    assert "api-key" not in headers


@pytest.mark.parametrize("auth", ["bearer", "header", "query", "none"])
async def test_an_endpoint_of_ones_own(auth: str):
    async with (
        emulated("custom", {"hello": "Hi!"}, auth=auth) as emulator,
        calling(emulator, api_key=None if auth == "none" else KEY) as call,
    ):
        assert await call.ask("hello") == "Hi!"


async def test_names_and_further_headers_and_parameters():
    headers, query = await shown(
        "custom", auth_type="query", auth_name="subscription", headers={"X-Tenant": "seven"}
    )
    assert query["subscription"] == KEY
    assert headers["x-tenant"] == "seven"
    headers, query = await shown("custom", auth_type="header", auth_name="X-Pass")
    assert headers["x-pass"] == KEY
    assert "authorization" not in headers
    headers, query = await shown("custom", auth_type="none", api_key=None)
    assert "authorization" not in headers
    assert query == {}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("kind", ["plain", "coroutine"])
async def test_a_token_is_fetched_for_each_connection(dialect: str, kind: str):
    given: list[str] = []

    def token() -> str:
        given.append(f"token-number-{len(given)}")
        return given[-1]

    async def later() -> str:
        await asyncio.sleep(0.5)
        return token()

    async with peers() as server:
        settings = {"token_provider": token if kind == "plain" else later, "api_key": None}
        for _ in range(2):
            call = server.call(dialect, **settings)
            await call.provider.connect()
            await call.provider.disconnect()
        seen = [request.headers["authorization"] for request in server.requests]
        assert seen == ["Bearer token-number-0", "Bearer token-number-1"]


def _raises() -> str:
    raise RuntimeError("no network")


@pytest.mark.parametrize("provider", [_raises, lambda: "", lambda: None, lambda: 5])
async def test_a_token_that_cannot_be_had(provider: Callable[[], Any]):
    async with peers() as server:
        call = server.call("azure", token_provider=provider)
        with pytest.raises(AuthenticationError) as caught:
            await call.provider.connect()
        assert caught.value.provider == "azure"
        assert server.requests == []


@pytest.mark.parametrize("token", ["token-with-a-newline\n", "token-ключ", "token bad\r\nX: y"])
async def test_a_token_that_cannot_be_in_a_header_is_refused_without_being_shown(token: str):
    async with peers() as server:
        provider = server.call("azure", token_provider=lambda: token).provider
        for method in (provider.connect, provider.create_client_secret):
            with pytest.raises((ConfigurationError, AuthenticationError)) as caught:
                await method()
            assert token[:8].strip() not in str(caught.value).replace("token provider", "")
        assert server.requests == []


# -- keys that do not last


@pytest.mark.parametrize("dialect", ["openai", "azure", "xai"])
async def test_a_client_secret_opens_the_session_that_it_was_made_for(dialect: str):
    async with emulated(dialect, {"hello": "Hi!"}) as emulator:
        maker = make(emulator, instructions="Be brief.").provider
        secret = await maker.create_client_secret(60)
        assert isinstance(secret, ClientSecret)
        assert secret.value.startswith("ek_")
        assert secret.session["instructions"] == "Be brief."
        assert emulator.sessions == []
        settings: dict[str, Any] = {"api_key": secret.value}
        if dialect == "azure":  # it is no key of the resource
            settings = {"token_provider": lambda: secret.value}
        async with calling(emulator, **settings) as call:
            assert await call.ask("hello") == "Hi!"
        await asyncio.sleep(61)
        late = make(emulator, **settings)
        with pytest.raises(AuthenticationError):
            await late.provider.connect()


async def test_a_client_secret_for_a_session_that_only_transcribes():
    async with emulated() as emulator:
        maker = make(emulator, metadata={"intent": "transcription"}).provider
        secret = await maker.create_client_secret()
        assert secret.session["type"] == "transcription"
        async with calling(
            emulator, api_key=secret.value, metadata={"intent": "transcription"}
        ) as call:
            await call.speak("hello")
            assert emulator.sessions[0].settings.kind == "transcription"


async def test_a_client_secret_is_not_shown():
    from rich.console import Console
    from rich.pretty import Pretty

    secret = ClientSecret("ek_do_not_show_me", 5.0, {"instructions": "Be brief."})
    console = Console(record=True, file=open("/dev/null", "w"))  # noqa: SIM115, ASYNC230, PTH123
    with console.file:
        console.print(Pretty(secret))
        texts = [repr(secret), str(secret), f"{secret}", console.export_text()]
    assert not any("ek_do" in text for text in texts)


@pytest.mark.parametrize("seconds", [9, 7201, 0, -1, True, "60", 60.5])
async def test_a_life_that_no_secret_has(seconds: Any):
    provider = provider_of("openai", {"api_key": KEY})
    with pytest.raises(ConfigurationError):
        await provider.create_client_secret(seconds)


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (json_answer(401, {"error": {"message": f"Bad key {KEY}."}}), AuthenticationError, "auth"),
        (json_answer(429, {"error": {"message": "Slow."}}), RateLimitError, "rate_limit"),
        (json_answer(500, {"error": {"message": "Oops."}}), ConnectionError, "server"),
        (json_answer(404, {"error": {"message": "What?"}}), ConnectionError, "not_found"),
        (json_answer(200, {"hello": "there"}), ProviderError, "bad_message"),
        (Answer(200, b"<html>"), ProviderError, "bad_message"),
        (Answer(302, b"", {"Location": "/elsewhere"}), ConnectionError, "rejected"),
        (Answer(307, b"", {"Location": "/elsewhere"}), ConnectionError, "rejected"),
    ],
)
async def test_a_client_secret_that_is_not_given(
    answer: Answer, kind: type[ProviderError], code: str
):
    async with peers(answer=lambda _: answer) as server:
        call = server.call()
        with pytest.raises(kind) as caught:
            await call.provider.create_client_secret()
        assert caught.value.code == code
        assert caught.value.provider == "openai"
        assert KEY not in str(caught.value)
        assert len(server.requests) == 1  # and the key was shown to nobody else
        assert server.requests[0].path == "/v1/realtime/client_secrets"


async def test_a_client_secret_of_settings_that_the_vendor_refuses():
    async with emulated(valid=False) as emulator:
        provider = make(emulator, session={"audio": {"output": {"speed": 9}}}).provider
        with pytest.raises(ProviderError, match="speed"):
            await provider.create_client_secret()


async def test_a_client_secret_of_a_server_that_is_not_there():
    async with emulated() as emulator:
        await emulator.refuse()
        provider = make(emulator).provider
        with pytest.raises(ConnectionError) as caught:
            await provider.create_client_secret()
        assert (caught.value.code, caught.value.retryable) == ("refused", True)


@pytest.mark.parametrize(
    "answer", [b"nonsense\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"]
)
async def test_a_client_secret_of_a_server_that_speaks_no_http(answer: bytes):
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        provider = provider_of("openai", {"api_key": KEY, "endpoint": f"ws://127.0.0.1:{port}"})
        with pytest.raises(ProviderError):
            await provider.create_client_secret()


async def test_user_and_password_in_the_address():
    async with peers() as server:
        endpoint = server.endpoint.replace("ws://", "ws://ada:s3cret-word@")
        call: Call = server.call("custom", endpoint=endpoint, auth_type="none", api_key=None)
        await call.provider.connect()
        await call.provider.disconnect()
        with pytest.raises(ProviderError) as caught:
            await call.provider.create_client_secret()
        assert "s3cret-word" not in str(caught.value)
        first, second = (request.headers.get("authorization") for request in server.requests)
        assert first == second == "Basic YWRhOnMzY3JldC13b3Jk"


async def test_a_client_secret_goes_through_the_proxy_that_is_given():
    answer = {"value": "ek_1", "expires_at": 5, "session": {}}
    async with peers(answer=lambda _: json_answer(200, answer)) as proxy:
        port = proxy.server.port
        provider = provider_of(
            "openai",
            {
                "api_key": KEY,
                "endpoint": "ws://api.example.test/v1",
                "proxy": f"http://ada:s3cret-word@127.0.0.1:{port}",
            },
        )
        assert (await provider.create_client_secret()).value == "ek_1"
        assert proxy.requests[0].headers["proxy-authorization"].startswith("Basic ")
        assert proxy.requests[0].headers["host"] == "api.example.test"
        for wrong in ("socks5://127.0.0.1:9", "ftp://x"):
            provider.config.options["proxy"] = wrong
            with pytest.raises((ConfigurationError, MessageError)):
                await provider.create_client_secret()
