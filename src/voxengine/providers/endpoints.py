"""Where a vendor is, and the key to it: what every provider and every part over the network needs to find both."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TypeAlias
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from voxengine.errors import ConfigurationError

__all__ = [
    "SCHEMES",
    "Address",
    "Parameters",
    "find_key",
    "from_environment",
    "http_url",
    "is_key",
    "need_key",
    "parse_endpoint",
    "websocket_url",
]

#: Parameters of an address. Those that are None are left out; of several values each is stated.
Parameters: TypeAlias = "Mapping[str, str | Sequence[str] | None]"

#: Schemes of an endpoint, and those of the socket that they mean.
SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where a connection goes, and what is shown there. The repr shows none of it."""

    #: ws:// or wss://
    url: str
    headers: Mapping[str, str] = {}
    #: Offered in the handshake.
    subprotocols: tuple[str, ...] = ()
    #: What is masked in all that is shown, beside the key and whatever is named like a secret.
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "Address(...)"


def websocket_url(
    default: str, endpoint: object = None, parameters: Parameters | None = None
) -> str:
    """The address of a WebSocket: the vendor's, or another server in its place.

    Args:
        default: the vendor's own address.
        endpoint: takes its place; http(s):// is taken as ws(s)://. If it has no path, or only the beginning of the
            vendor's, the vendor's path is meant.
        parameters: added as far as the address does not state them itself.

    Raises:
        ConfigurationError: `endpoint` is no address.
    """
    own = parse_endpoint(default)
    parts = own if endpoint is None else parse_endpoint(endpoint)
    path = parts.path.rstrip("/")
    if own.path.startswith(f"{path}/"):
        path = own.path
    query = parts.query or own.query
    stated = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
    more = {n: v for n, v in (parameters or {}).items() if v is not None and n not in stated}
    query = "&".join(part for part in (query, urlencode(more, doseq=True)) if part)
    return urlunsplit((SCHEMES[parts.scheme], parts.netloc, path or "/", query, ""))


def http_url(default: str, endpoint: object = None, parameters: Parameters | None = None) -> str:
    """As `websocket_url`, for a request: http:// or https://."""
    return f"http{websocket_url(default, endpoint, parameters).removeprefix('ws')}"


def parse_endpoint(endpoint: object) -> SplitResult:
    """The parts of an address, wss:// where it states no scheme.

    Raises:
        ConfigurationError: it is none. The message shows nothing secret.
    """
    if not isinstance(endpoint, str):
        raise ConfigurationError(f"endpoint is a URL, not {type(endpoint).__name__}")
    text = endpoint.strip()
    try:
        parts = urlsplit(text if "://" in text else f"wss://{text}")
        known = parts.scheme in SCHEMES and parts.hostname and parts.port != 0
    except ValueError:  # such as of a port that is no number
        known = False
    if not known:
        raise ConfigurationError(
            f"endpoint {_shown(text)!r} is no address; it is like wss://host/v1/realtime"
        )
    return parts


def find_key(given: str | None, variables: Sequence[str]) -> str | None:
    """The key: the given one, else that of the first of these environment variables that is set."""
    key = given or from_environment(variables)
    # A key that was read from a file ends with the file's last line.
    return key.strip() if isinstance(key, str) else key


def need_key(provider: str, given: str | None, variables: Sequence[str]) -> str:
    """As `find_key`, of a key that there has to be.

    Raises:
        ConfigurationError: there is none, or it is not one that a header can hold.
    """
    key = find_key(given, variables)
    if not key:
        where = f" (or set {' or '.join(variables)})" if variables else ""
        raise ConfigurationError(f"provider {provider!r} needs an api_key{where}")
    if not is_key(key):
        raise ConfigurationError(
            f"the api_key of provider {provider!r} is no key: it is text without blanks, in ASCII"
        )
    return key


def is_key(key: object) -> bool:
    """Whether a header can hold it as one word."""
    return (
        isinstance(key, str)
        and key.isascii()
        and key.isprintable()
        and " " not in key
        and key != ""
    )


def from_environment(names: Sequence[str]) -> str | None:
    """The value of the first of these variables that has one."""
    return next((value for name in names if (value := os.environ.get(name))), None)


def _shown(endpoint: str) -> str:
    """An address fit to be shown: nothing before an @, nothing behind a question mark or a #."""
    bare = endpoint.partition("?")[0].partition("#")[0]
    # With an @ behind that, it is not to be told what is whose.
    return "..." if "@" in endpoint[len(bare) :] else bare.rpartition("@")[2][:100]
