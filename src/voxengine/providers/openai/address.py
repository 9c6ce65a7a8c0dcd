"""Where an endpoint is, and how the key is shown to it."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Mapping
from typing import Any, get_args
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from voxengine.config import ProviderConfig
from voxengine.errors import AuthenticationError, ConfigurationError
from voxengine.providers.openai.dialects import Auth, Dialect

__all__ = ["check_auth", "credentials", "http_url", "secrets_of", "websocket_url"]

_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


def websocket_url(
    dialect: Dialect, config: ProviderConfig, parameters: Mapping[str, str | None]
) -> str:
    """The address to connect to, with these parameters as far as the endpoint does not state them itself.

    Raises:
        ConfigurationError: there is no endpoint, or it is none.
    """
    given = config.option("endpoint") or _from_environment(dialect.endpoint_variables)
    endpoint = given or dialect.endpoint
    if not endpoint:
        variables = "".join(f", or {name}" for name in dialect.endpoint_variables)
        raise ConfigurationError(
            f"provider {dialect.name!r} needs an endpoint: metadata={{'endpoint': 'wss://...'}}{variables}"
        )
    if not isinstance(endpoint, str):
        raise ConfigurationError(f"endpoint is a URL, not {type(endpoint).__name__}")
    text = endpoint.strip()
    parts = _parts(text)
    stated = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    more = {n: v for n, v in parameters.items() if v is not None and n not in stated}
    query = "&".join(part for part in (parts.query, urlencode(more)) if part)
    path = _path(dialect, parts.path)
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, path, query, ""))


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
    key = _key(dialect, config)
    if key and not _is_key(key):
        raise ConfigurationError(
            f"the api_key of provider {dialect.name!r} is no key: it is text without blanks, in ASCII"
        )
    if not key:
        variables = " or ".join(dialect.key_variables)
        where = f" (or set {variables})" if variables else ", or auth_type='none'"
        raise ConfigurationError(f"provider {dialect.name!r} needs an api_key{where}")


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
    if not isinstance(token, str) or not _is_key(token):
        raise AuthenticationError(
            f"the token provider gave {type(token).__name__}, not a token", provider=dialect.name
        )
    return token


def _key(dialect: Dialect, config: ProviderConfig) -> str | None:
    key = config.api_key or _from_environment(dialect.key_variables)
    # A key that was read from a file ends with the file's last line.
    return key.strip() if isinstance(key, str) else key


def _is_key(key: object) -> bool:
    """Whether a header can hold it as one word."""
    return (
        isinstance(key, str)
        and key.isascii()
        and key.isprintable()
        and " " not in key
        and key != ""
    )


def _parts(endpoint: str) -> SplitResult:
    """The parts of an address, wss:// where it states no scheme."""
    try:
        parts = urlsplit(endpoint if "://" in endpoint else f"wss://{endpoint}")
        known = parts.scheme in _SCHEMES and parts.hostname and parts.port != 0
    except ValueError:  # such as of a port that is no number
        known = False
    if not known:
        raise ConfigurationError(
            f"endpoint {_shown(endpoint)!r} is no address; it is like wss://host/v1/realtime"
        )
    return parts


def _from_environment(names: tuple[str, ...]) -> str | None:
    return next((value for name in names if (value := os.environ.get(name))), None)


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


def _shown(endpoint: str) -> str:
    """An address fit to be shown: nothing before an @, nothing behind a question mark or a #."""
    bare = endpoint.partition("?")[0].partition("#")[0]
    # With an @ behind that, it is not to be told what is whose.
    return "..." if "@" in endpoint[len(bare) :] else bare.rpartition("@")[2][:100]
