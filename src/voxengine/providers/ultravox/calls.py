"""The request that creates a call: what it is about goes in, the address at which it is joined comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from voxengine.config import ProviderConfig
from voxengine.errors import ConfigurationError, MissingDependencyError, ProviderError
from voxengine.net.addresses import choose_proxy, parse_url
from voxengine.net.handshake import Attempt, Refusal
from voxengine.net.masking import Mask

__all__ = ["CreatedCall", "create_call"]


class CreatedCall(msgspec.Struct, frozen=True, rename="camel"):
    """A call that can be joined. Its repr does not show the address, which needs no key."""

    call_id: str
    join_url: str

    def __repr__(self) -> str:
        return f"CreatedCall({self.call_id!r})"


async def create_call(
    url: str,
    key: str,
    body: Mapping[str, Any],
    config: ProviderConfig,
    *,
    provider: str,
    secrets: Sequence[str] = (),
) -> CreatedCall:
    """Ask for it. There is no budget here but the caller's.

    Raises:
        MissingDependencyError: httpx is not installed.
        AuthenticationError, RateLimitError, ConnectionError: the vendor did not create it, or cannot be reached.
        ProviderError: it answered with something else (`bad_message`).
    """
    try:
        import httpx
    except ImportError as failure:
        raise MissingDependencyError("provider 'ultravox'", "chat", str(failure)) from failure
    # Told from the socket's address by its scheme alone.
    where = parse_url(f"ws{url.removeprefix('http')}", secrets)
    via = choose_proxy(where, config.option("proxy"))
    if via is not None and not via.url.startswith(("http", "socks5")):
        raise ConfigurationError(
            f"a call is asked for over HTTP, which cannot go through {via.shown}"
        )
    headers = {"X-API-Key": key, "Content-Type": "application/json", "User-Agent": "voxengine"}
    mask = Mask([url, via.url if via else ""], headers, (), (key, *secrets))
    attempt = Attempt(where.shown, via.shown if via else None, provider, mask)
    try:
        async with httpx.AsyncClient(
            proxy=via.url if via else None,
            verify=config.option("ssl_context") or where.secure,
            timeout=None,  # noqa: S113 - the caller's budget covers it
            trust_env=False,
        ) as client:
            answer = await client.post(url, content=msgspec.json.encode(body), headers=headers)
    except httpx.ConnectError as failure:
        raise attempt.broken(_cause(failure), "connect") from failure
    except httpx.HTTPError as failure:
        raise attempt.broken(_cause(failure), "handshake") from failure
    if answer.status_code >= 300:
        head = {name.lower(): value for name, value in answer.headers.items()}
        # It is put together already.
        head.pop("transfer-encoding", None)
        raise attempt.refused(Refusal(answer.status_code, head, answer.content))
    try:
        return msgspec.json.decode(answer.content, type=CreatedCall)
    except msgspec.DecodeError as failure:
        raise ProviderError(
            f"{where.shown} answered with no call that can be joined: {failure}",
            provider=provider,
            code="bad_message",
        ) from None


def _cause(failure: BaseException) -> Exception:
    """What is behind an error of the HTTP library: the system's own, where there is one."""
    found: BaseException | None = failure
    last: Exception = OSError(str(failure) or type(failure).__name__)
    while found is not None:
        if isinstance(found, OSError):
            last = found
        found = found.__cause__ or found.__context__
    return last
