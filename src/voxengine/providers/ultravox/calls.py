"""The request that creates a call: what it is about goes in, the address at which it is joined comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from voxengine.config import ProviderConfig
from voxengine.errors import ProviderError
from voxengine.net.addresses import parse_url
from voxengine.providers.requests import request

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
    headers = {"X-API-Key": key, "Content-Type": "application/json"}
    sent = msgspec.json.encode(body)
    secrets = (key, *secrets)
    answer = await request(
        "POST", url, config, provider=provider, headers=headers, body=sent, secrets=secrets
    )
    try:
        return msgspec.json.decode(answer, type=CreatedCall)
    except msgspec.DecodeError as failure:
        shown = parse_url(f"ws{url.removeprefix('http')}", secrets).shown
        raise ProviderError(
            f"{shown} answered with no call that can be joined: {failure}",
            provider=provider,
            code="bad_message",
        ) from None
