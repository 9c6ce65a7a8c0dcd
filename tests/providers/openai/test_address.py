"""Where an endpoint is, and how the key is shown to it; never in a message."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from voxengine.config import ProviderConfig
from voxengine.errors import AuthenticationError, ConfigurationError
from voxengine.providers.openai.address import (
    check_auth,
    credentials,
    http_url,
    secrets_of,
    websocket_url,
)
from voxengine.providers.openai.dialects import AZURE, CUSTOM, DIALECTS, OPENAI, XAI, Dialect

KEY = "sk-do-not-show"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for dialect in DIALECTS.values():
        for name in (*dialect.key_variables, *dialect.endpoint_variables):
            monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("dialect", "endpoint", "url"),
    [
        (OPENAI, None, "wss://api.openai.com/v1/realtime?model=m"),
        (XAI, None, "wss://api.x.ai/v1/realtime?model=m"),
        (OPENAI, "https://api.openai.com", "wss://api.openai.com/v1/realtime?model=m"),
        (OPENAI, "api.openai.com/v1", "wss://api.openai.com/v1/realtime?model=m"),
        (OPENAI, " HTTP://127.0.0.1:8080/v1/ ", "ws://127.0.0.1:8080/v1/realtime?model=m"),
        (OPENAI, "ws://proxy/gate/v1", "ws://proxy/gate/v1/realtime?model=m"),
        (OPENAI, "wss://h/v1/realtime/", "wss://h/v1/realtime?model=m"),
        (OPENAI, "wss://h/v1/realtime?call_id=c&model=x", "wss://h/v1/realtime?call_id=c&model=x"),
        (
            OPENAI,
            "wss://h?a=1&a=2&b=c%20d&flag",
            "wss://h/v1/realtime?a=1&a=2&b=c%20d&flag&model=m",
        ),
        (OPENAI, "wss://user:word@h:8443", "wss://user:word@h:8443/v1/realtime?model=m"),
        (OPENAI, "wss://[::1]:8080", "wss://[::1]:8080/v1/realtime?model=m"),
        (OPENAI, "localhost:8080", "wss://localhost:8080/v1/realtime?model=m"),
        (
            AZURE,
            "https://name.openai.azure.com/",
            "wss://name.openai.azure.com/openai/v1/realtime?model=m",
        ),
        (
            AZURE,
            "https://name.openai.azure.com/openai",
            "wss://name.openai.azure.com/openai/v1/realtime?model=m",
        ),
        (
            AZURE,
            "https://name.openai.azure.com/openai/v1/",
            "wss://name.openai.azure.com/openai/v1/realtime?model=m",
        ),
        (CUSTOM, "wss://h", "wss://h/?model=m"),
        (CUSTOM, "ws://h:1/any/where/?q=a+b", "ws://h:1/any/where/?q=a+b&model=m"),
    ],
)
def test_where_it_is(dialect: Dialect, endpoint: str | None, url: str):
    config = ProviderConfig(metadata={"endpoint": endpoint} if endpoint else {})
    assert websocket_url(dialect, config, {"model": "m", "intent": None}) == url


def test_parameters_are_written_for_an_address():
    url = websocket_url(OPENAI, ProviderConfig(), {"model": "a b&c=d", "x": "é"})
    assert url == "wss://api.openai.com/v1/realtime?model=a+b%26c%3Dd&x=%C3%A9"


def test_resources_below_the_socket():
    def address(dialect: Dialect, endpoint: str | None = None) -> str:
        return http_url(dialect, ProviderConfig(endpoint=endpoint), "client_secrets", {})

    assert address(OPENAI) == "https://api.openai.com/v1/realtime/client_secrets"
    assert address(AZURE, "ws://h") == "http://h/openai/v1/realtime/client_secrets"
    assert address(CUSTOM, "wss://h/x/?q=1") == "https://h/x/client_secrets?q=1"
    assert address(CUSTOM, "wss://h") == "https://h/client_secrets"


def test_the_endpoint_may_be_a_variable(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ConfigurationError) as refused:
        websocket_url(AZURE, ProviderConfig(), {})
    assert "AZURE_OPENAI_ENDPOINT" in str(refused.value)
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://name.openai.azure.com")
    url = websocket_url(AZURE, ProviderConfig(), {})
    assert url == "wss://name.openai.azure.com/openai/v1/realtime"
    named = ProviderConfig(endpoint="wss://other")
    assert websocket_url(AZURE, named, {}).startswith("wss://other/")


@pytest.mark.parametrize(
    "endpoint",
    [
        5,
        "ftp://h",
        "wss://",
        "https:///v1",
        "wss://[::1",
        "wss://h:port",
        "wss://h:99999",
        f"ftp://user:{KEY}@h/v1",
        f"ftp://h?api-key={KEY}",
        f"ftp://h?mail=a@b&api-key={KEY}",
        f"ftp://h#api-key={KEY}",
        f"wss://user:{KEY[:6]}?{KEY[6:]}@[h",
    ],
)
def test_what_is_no_endpoint_is_said_without_what_is_secret(endpoint: Any):
    with pytest.raises(ConfigurationError) as refused:
        websocket_url(OPENAI, ProviderConfig(endpoint=endpoint), {})
    words = str(refused.value)
    assert "endpoint" in words
    assert KEY not in words
    assert KEY[:6] not in words
    assert refused.value.__cause__ is None
    assert KEY not in repr(refused.value.__context__)


# -- the key


async def test_how_the_key_is_shown():
    async def shown(dialect: Dialect, **settings: Any) -> Any:
        return await credentials(dialect, ProviderConfig(api_key=KEY, **settings))

    assert await shown(OPENAI) == ({"Authorization": f"Bearer {KEY}"}, {})
    assert await shown(AZURE) == ({"api-key": KEY}, {})
    assert await shown(AZURE, auth_type="bearer") == ({"Authorization": f"Bearer {KEY}"}, {})
    assert await shown(CUSTOM, auth_type="query", auth_name="key") == ({}, {"key": KEY})
    assert await shown(CUSTOM, auth_type="header", auth_name="X-Key") == ({"X-Key": KEY}, {})
    assert await shown(CUSTOM, auth_type="none", headers={"X-User": 7}) == ({"X-User": "7"}, {})
    assert await shown(OPENAI, headers={"X-User": "a"}) == (
        {"X-User": "a", "Authorization": f"Bearer {KEY}"},
        {},
    )


async def test_the_key_may_be_a_variable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AZURE_API_KEY", "second\n")
    assert await credentials(AZURE, ProviderConfig()) == ({"api-key": "second"}, {})
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "first")
    assert await credentials(AZURE, ProviderConfig()) == ({"api-key": "first"}, {})
    assert await credentials(AZURE, ProviderConfig(api_key="own")) == ({"api-key": "own"}, {})


@pytest.mark.parametrize(
    ("dialect", "settings", "hint"),
    [
        (OPENAI, {}, "OPENAI_API_KEY"),
        (AZURE, {}, "AZURE_OPENAI_API_KEY or AZURE_API_KEY"),
        (XAI, {"api_key": " "}, "XAI_API_KEY"),
        (CUSTOM, {}, "auth_type='none'"),
        (OPENAI, {"api_key": KEY, "auth_type": "basic"}, "bearer, header, query, none"),
        (OPENAI, {"api_key": KEY, "auth_type": ["x"]}, "bearer, header, query, none"),
        (OPENAI, {"api_key": f"{KEY} {KEY}"}, "no key"),
        (OPENAI, {"api_key": f"{KEY}\r\nX: y"}, "no key"),
        (OPENAI, {"api_key": f"“{KEY}”"}, "no key"),
        (OPENAI, {"api_key": KEY.encode()}, "no key"),
    ],
)
def test_what_is_wrong_with_a_key_is_said_before_anything_is_opened(
    dialect: Dialect, settings: dict[str, Any], hint: str
):
    with pytest.raises(ConfigurationError) as refused:
        check_auth(dialect, ProviderConfig(**settings))
    assert hint in str(refused.value)
    assert KEY not in repr(refused.value)


async def test_headers_are_a_dict():
    with pytest.raises(ConfigurationError, match="headers are a dict, not str"):
        await credentials(OPENAI, ProviderConfig(api_key=KEY, headers="X: y"))


# -- tokens


async def _coroutine() -> str:
    await asyncio.sleep(1)
    return "token"


@pytest.mark.parametrize("provider", [lambda: "token", _coroutine, lambda: _coroutine()])
@pytest.mark.parametrize("dialect", [AZURE, CUSTOM], ids=lambda dialect: dialect.name)
async def test_a_fresh_token_each_time(dialect: Dialect, provider: Any):
    config = ProviderConfig(token_provider=provider, api_key=KEY)
    assert await credentials(dialect, config) == ({"Authorization": "Bearer token"}, {})
    assert await credentials(dialect, config) == ({"Authorization": "Bearer token"}, {})


async def test_a_function_that_asks_a_server_does_not_stop_the_others():
    seen: list[threading.Thread] = []

    def slow() -> str:
        seen.append(threading.current_thread())
        return "token"

    await credentials(AZURE, ProviderConfig(token_provider=slow))
    assert seen[0] is not threading.main_thread()


def _fails() -> str:
    raise RuntimeError("no network")


async def _fails_later() -> str:
    raise RuntimeError("no network")


@pytest.mark.parametrize("provider", [_fails, _fails_later])
async def test_a_token_provider_that_fails(provider: Any):
    with pytest.raises(AuthenticationError, match="RuntimeError: no network") as refused:
        await credentials(AZURE, ProviderConfig(token_provider=provider, api_key=KEY))
    assert refused.value.provider == "azure"
    assert KEY not in repr(refused.value)


@pytest.mark.parametrize("token", [None, "", 5, f"{KEY}\n", f"{KEY} x"])
async def test_a_token_provider_that_gives_no_token(token: Any):
    with pytest.raises(AuthenticationError, match="not a token") as refused:
        await credentials(AZURE, ProviderConfig(token_provider=lambda: token))
    assert KEY not in repr(refused.value)


def test_what_is_secret_is_known(monkeypatch: pytest.MonkeyPatch):
    config = ProviderConfig(api_key=f"{KEY}\n", headers={"Authorization": KEY})
    assert KEY not in repr(config)
    assert secrets_of(OPENAI, config) == (KEY,)
    assert secrets_of(OPENAI, ProviderConfig()) == ()
    monkeypatch.setenv("OPENAI_API_KEY", "other")
    assert secrets_of(OPENAI, ProviderConfig()) == ("other",)
