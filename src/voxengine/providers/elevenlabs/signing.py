"""The address of an agent that is not public: asked for with the key, and good for one conversation."""

from __future__ import annotations

import msgspec

from voxengine.config import ProviderConfig
from voxengine.errors import ProviderError
from voxengine.providers.elevenlabs.access import HEADER
from voxengine.providers.requests import request

__all__ = ["PATH", "signed_url"]

PATH = "/v1/convai/conversation/get-signed-url"


class _Signed(msgspec.Struct, frozen=True):
    signed_url: str


async def signed_url(url: str, key: str, config: ProviderConfig, *, provider: str) -> str:
    """Ask for it at `url`.

    Raises:
        MissingDependencyError: httpx is not installed.
        AuthenticationError, RateLimitError, ConnectionError: the vendor did not give it, or cannot be reached.
        ProviderError: it answered with something else (`bad_message`).
    """
    answer = await request(
        "GET", url, config, provider=provider, headers={HEADER: key}, secrets=(key,)
    )
    try:
        return msgspec.json.decode(answer, type=_Signed).signed_url
    except msgspec.DecodeError as failure:
        raise ProviderError(
            f"{provider}: the answer holds no address of an agent: {failure}",
            provider=provider,
            code="bad_message",
        ) from None
