"""Where a connection goes, and through which proxy. User, password and keys never get into what is shown."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Mapping, Sequence
from urllib.parse import SplitResult, unquote, unquote_plus, urlsplit

import msgspec

from voxengine.errors import ConfigurationError
from voxengine.net.masking import is_secret_name

__all__ = ["Address", "check_headers", "choose_proxy", "parse_url"]

_DEFAULT_PORTS = {"ws": 80, "wss": 443, "http": 80, "https": 443, "socks4": 1080, "socks5": 1080}
#: Names that other programs use for the schemes that we know.
_PROXY_ALIASES = {"socks": "socks5", "socks5h": "socks5"}
# RFC 9110, section 5.6.2: what the name of a header, and a subprotocol, is made of.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: Headers that are the handshake's own.
_OWN = frozenset({"connection", "upgrade"})


class Address(msgspec.Struct, frozen=True):
    """A server, or a proxy. The repr shows what may be shown."""

    #: As it is used; the user and the password of a server are not in it, those of a proxy are.
    url: str
    #: For people to read.
    shown: str
    host: str
    port: int
    #: Whether it is spoken to through TLS.
    secure: bool
    #: Value of the header that stands for the user and the password of a server's URL.
    authorization: str | None = None

    def __repr__(self) -> str:
        return f"Address({self.shown!r})"

    __str__ = __repr__


def parse_url(url: str, secrets: Sequence[str] = ()) -> Address:
    """The address in a ws:// or wss:// URL. `secrets` are values of parameters that are not to be shown.

    Raises:
        ConfigurationError: it is none. The message shows nothing secret.
    """
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigurationError(
            "the URL of a WebSocket is text in ASCII without spaces; percent-encode all else"
        )
    parts, host, port = _split(url, "the URL of the WebSocket")
    if parts.scheme not in ("ws", "wss"):
        raise ConfigurationError(
            f"the URL of a WebSocket begins with ws:// or wss://, not {parts.scheme[:20]!r}"
        )
    if parts.fragment:
        raise ConfigurationError("the URL of a WebSocket has no fragment (#...)")
    netloc = parts.netloc.rpartition("@")[2]
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
    clean = parts._replace(netloc=netloc)
    shown = clean._replace(query=_shown_query(parts.query, secrets)).geturl()
    secure = parts.scheme == "wss"
    return Address(clean.geturl(), shown, host, port, secure, authorization)


def choose_proxy(address: Address, proxy: str | None) -> Address | None:
    """The proxy to go through: the given one; none for ""; for None, what the environment says.

    The variables are https_proxy for wss://, http_proxy for ws://, all_proxy for both, and no_proxy, also in upper
    case. They are not asked about servers on this machine, which no proxy can reach.

    Raises:
        ConfigurationError: it is not the URL of a proxy that we can use.
    """
    if proxy is not None:
        return _parse_proxy(proxy, "the proxy") if proxy else None
    if _is_local(address.host):
        return None
    from urllib.request import getproxies_environment, proxy_bypass

    variables = getproxies_environment()
    name = "https" if address.secure else "http"
    name = name if variables.get(name) else "all"
    found = variables.get(name)
    if not found or proxy_bypass(f"{address.host}:{address.port}"):
        return None
    return _parse_proxy(found, f"the proxy of the environment variable {name}_proxy")


def check_headers(headers: Mapping[str, str], subprotocols: Sequence[str]) -> None:
    """Refuse what would break the head of the request, such as a key that was read with its line end.

    Raises:
        ConfigurationError: the message has the header's name, never its value.
    """
    for name, value in headers.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise ConfigurationError(f"{name!r} is not the name of a header")
        if name.lower() in _OWN or name.lower().startswith("sec-websocket-"):
            raise ConfigurationError(f"header {name!r} is set by the WebSocket itself")
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise ConfigurationError(
                f"the value of header {name!r} is not printable ASCII; does a key end with a line break?"
            )
    for number, subprotocol in enumerate(subprotocols):
        if not isinstance(subprotocol, str) or not _TOKEN.fullmatch(subprotocol):
            raise ConfigurationError(
                f"subprotocol {number} holds characters that no subprotocol can"
            )


def _parse_proxy(url: str, what: str) -> Address:
    if "://" not in url:
        url = f"http://{url}"
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigurationError(f"{what} is text in ASCII without spaces; percent-encode all else")
    parts, host, port = _split(url, what)
    scheme = _PROXY_ALIASES.get(parts.scheme, parts.scheme)
    if scheme not in ("http", "https", "socks4", "socks5"):
        raise ConfigurationError(f"{what} begins with http://, https://, socks4:// or socks5://")
    userinfo, at, _ = parts.netloc.rpartition("@")
    where = f"{f'[{host}]' if ':' in host else host}:{port}"
    url = f"{scheme}://{userinfo}{at}{where}"
    return Address(url, f"{scheme}://{where}", host, port, scheme == "https")


def _split(url: str, what: str) -> tuple[SplitResult, str, int]:
    """The parts of a URL, its host and its port."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ConfigurationError(f"{what} is not an address") from None
    if not host:
        raise ConfigurationError(f"{what} names no host")
    scheme = _PROXY_ALIASES.get(parts.scheme, parts.scheme)
    return parts, host, port or _DEFAULT_PORTS.get(scheme, 0)


def _shown_query(query: str, secrets: Sequence[str]) -> str:
    shown = []
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        secret = is_secret_name(name) or unquote_plus(value) in secrets
        shown.append(f"{name}=***" if secret else pair)
    return "&".join(shown)


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
