"""One request over HTTP on the way to a connection: for an address, a token, a call. It fails as a handshake does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from voxengine.config import ProviderConfig
from voxengine.errors import ConfigurationError, MissingDependencyError
from voxengine.net.addresses import choose_proxy, parse_url
from voxengine.net.handshake import Attempt, Refusal
from voxengine.net.masking import Mask

__all__ = ["request"]


async def request(
    method: str,
    url: str,
    config: ProviderConfig,
    *,
    provider: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
    secrets: Sequence[str] = (),
) -> bytes:
    """The body of the answer. There is no budget here but the caller's.

    Args:
        method: "GET", "POST".
        url: where, http(s)://.
        config: has the options `proxy` and `ssl_context`.
        provider: who asks.
        headers: the key's among them.
        body: what is sent.
        secrets: what is never shown, wherever it stands.

    Raises:
        MissingDependencyError: httpx is not installed.
        AuthenticationError, RateLimitError, ConnectionError: it was refused, or the vendor cannot be reached.
    """
    try:
        import httpx
    except ImportError as failure:
        raise MissingDependencyError(f"provider {provider!r}", "chat", str(failure)) from failure
    # Told from a socket's address by its scheme alone.
    where = parse_url(f"ws{url.removeprefix('http')}", secrets)
    via = choose_proxy(where, config.option("proxy"))
    if via is not None and not via.url.startswith(("http", "socks5")):
        raise ConfigurationError(f"a request over HTTP cannot go through {via.shown}")
    sent = {"User-Agent": "voxengine", **headers}
    mask = Mask([url, via.url if via else ""], sent, (), secrets)
    attempt = Attempt(where.shown, via.shown if via else None, provider, mask)
    try:
        async with httpx.AsyncClient(
            proxy=via.url if via else None,
            verify=config.option("ssl_context") or where.secure,
            timeout=None,  # noqa: S113 - the caller's budget covers it
            trust_env=False,
        ) as client:
            answer = await client.request(method, url, content=body, headers=sent)
    except httpx.ConnectError as failure:
        raise attempt.broken(_cause(failure), "connect") from failure
    except httpx.HTTPError as failure:
        raise attempt.broken(_cause(failure), "handshake") from failure
    if answer.status_code >= 300:
        head = {name.lower(): value for name, value in answer.headers.items()}
        head.pop("transfer-encoding", None)  # it is put together already
        raise attempt.refused(Refusal(answer.status_code, head, answer.content))
    return answer.content


def _cause(failure: BaseException) -> Exception:
    """What is behind an error of the HTTP library: the system's own, where there is one."""
    found: BaseException | None = failure
    last: Exception = OSError(str(failure) or type(failure).__name__)
    while found is not None:
        if isinstance(found, OSError):
            last = found
        found = found.__cause__ or found.__context__
    return last
