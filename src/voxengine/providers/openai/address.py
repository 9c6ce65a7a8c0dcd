"""Where an endpoint is, and how the key is shown to it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from typing import Any, get_args
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from voxengine.config import ProviderConfig
from voxengine.errors import AuthenticationError, ConfigurationError
from voxengine.providers.endpoints import (
    SCHEMES,
    find_key,
    from_environment,
    is_key,
    need_key,
    parse_endpoint,
)
from voxengine.providers.openai.dialects import Auth, Dialect

__all__ = ["check_auth", "credentials", "http_url", "secrets_of", "websocket_url"]


def websocket_url(
    dialect: Dialect, config: ProviderConfig, parameters: Mapping[str, str | None]
) -> str:
    """The address to connect to, with these parameters as far as the endpoint does not state them itself.

    Raises:
        ConfigurationError: there is no endpoint, or it is none.
    """
    given = config.option("endpoint") or from_environment(dialect.endpoint_variables)
    endpoint = given or dialect.endpoint
    if not endpoint:
        variables = "".join(f", or {name}" for name in dialect.endpoint_variables)
        raise ConfigurationError(
            f"provider {dialect.name!r} needs an endpoint: metadata={{'endpoint': 'wss://...'}}{variables}"
        )
    parts = parse_endpoint(endpoint)
    stated = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    more = {n: v for n, v in parameters.items() if v is not None and n not in stated}
    query = "&".join(part for part in (parts.query, urlencode(more)) if part)
    path = _path(dialect, parts.path)
    return urlunsplit((SCHEMES[parts.scheme], parts.netloc, path, query, ""))


def http_url(
    dialect: Dialect, config: ProviderConfig, resource: str, parameters: Mapping[str, str | None]
) -> str:
    """The address of a resource below the socket's, such as "client_secrets"."""
    parts = urlsplit(websocket_url(dialect, config, parameters))
    scheme = "https" if parts.scheme == "wss" else "http"
    return urlunsplit(
        (scheme, parts.netloc, f"{parts.path.rstrip('/')}/{resource}", parts.query, "")
    )


def check_auth(dialect: Dialect, config: ProviderConfig) -> None:
    """Find out what can be wrong with the credentials before anything is opened.

    Raises:
        ConfigurationError: `auth_type` is unknown, or there is no key.
    """
    kind = config.option("auth_type", dialect.auth)
    if kind not in get_args(Auth):
        raise ConfigurationError(
            f"auth_type {kind!r} is unknown; it is one of {', '.join(get_args(Auth))}"
        )
    if kind == "none" or config.option("token_provider") is not None:
        return
    if not _key(dialect, config) and not dialect.key_variables:
        raise ConfigurationError(f"provider {dialect.name!r} needs an api_key, or auth_type='none'")
    need_key(dialect.name, config.api_key, dialect.key_variables)


def secrets_of(dialect: Dialect, config: ProviderConfig) -> tuple[str, ...]:
    """What is not to be shown, even where its header or its parameter has an innocent name."""
    key = _key(dialect, config)
    return (key,) if key else ()


async def credentials(
    dialect: Dialect, config: ProviderConfig
) -> tuple[dict[str, str], dict[str, str | None]]:
    """Headers, and parameters of the address.

    `token_provider` is a function, or a coroutine function, that returns a fresh bearer token, as Entra's do.

    Raises:
        AuthenticationError: the token provider failed.
        ConfigurationError: there is no key.
    """
    check_auth(dialect, config)
    given = config.option("headers") or {}
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"headers are a dict, not {type(given).__name__}")
    headers = {str(name): str(value) for name, value in given.items()}
    provider = config.option("token_provider")
    if provider is not None:
        return {**headers, "Authorization": f"Bearer {await _token(dialect, provider)}"}, {}
    kind = config.option("auth_type", dialect.auth)
    key = _key(dialect, config) or ""
    name = str(config.option("auth_name", dialect.auth_name))
    match kind:
        case "bearer":
            return {**headers, "Authorization": f"Bearer {key}"}, {}
        case "header":
            return {**headers, name: key}, {}
        case "query":
            return headers, {name: key}
        case _:
            return headers, {}


async def _token(dialect: Dialect, provider: Any) -> str:
    try:
        if inspect.iscoroutinefunction(provider):
            token = provider()
        else:  # it may ask a server: not on the event loop
            token = await asyncio.to_thread(provider)
        if inspect.isawaitable(token):
            token = await token
    except Exception as failure:
        raise AuthenticationError(
            f"the token provider failed: {type(failure).__name__}: {failure}",
            provider=dialect.name,
        ) from failure
    if not isinstance(token, str) or not is_key(token):
        raise AuthenticationError(
            f"the token provider gave {type(token).__name__}, not a token", provider=dialect.name
        )
    return token


def _key(dialect: Dialect, config: ProviderConfig) -> str | None:
    return find_key(config.api_key, dialect.key_variables)


def _path(dialect: Dialect, path: str) -> str:
    if dialect.path is None:
        return path or "/"
    path = path.rstrip("/")
    if not path:
        return dialect.path
    if dialect.path.startswith(f"{path}/"):
        return dialect.path
    last = dialect.path.rpartition("/")[2]
    return path if path.endswith(f"/{last}") else f"{path}/{last}"
