"""Where Azure Speech is and the key to it, from the options of a part or the environment."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from voxengine.errors import ConfigurationError
from voxengine.providers.endpoints import from_environment, need_key

__all__ = ["OPTIONS", "Access", "access_of"]

#: The options that are read here.
OPTIONS = ("api_key", "speech_key", "region", "endpoint")

_KEYS = ("AZURE_SPEECH_KEY", "SPEECH_KEY")
_REGIONS = ("AZURE_SPEECH_REGION", "SPEECH_REGION")
_ENDPOINTS = ("AZURE_SPEECH_ENDPOINT",)


class Access(msgspec.Struct, frozen=True):
    """Who asks, and where: at a region, or at an address of its own. The repr shows no key."""

    key: str
    region: str | None
    endpoint: str | None

    def __repr__(self) -> str:
        return f"Access(region={self.region!r}, endpoint={self.endpoint!r})"


def access_of(part: str, options: Mapping[str, Any], own: Collection[str]) -> Access:
    """The access that the options of a part state; `own` are the part's other options.

    Raises:
        ConfigurationError: an option is unknown, or there is no key or no place.
    """
    unknown = sorted(set(options) - set(OPTIONS) - set(own))
    if unknown:
        raise ConfigurationError(
            f"{part} has no option {', '.join(map(repr, unknown))}; it has {', '.join(sorted({*OPTIONS, *own}))}"
        )
    key = need_key(part, options.get("api_key") or options.get("speech_key"), _KEYS)
    endpoint = options.get("endpoint") or from_environment(_ENDPOINTS)
    region = options.get("region") or from_environment(_REGIONS)
    if not endpoint and not region:
        raise ConfigurationError(
            f"{part} needs a region ('eastus') or an endpoint; or set {_REGIONS[0]}"
        )
    return Access(key, None if endpoint else str(region), str(endpoint) if endpoint else None)
