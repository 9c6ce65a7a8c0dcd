"""Providers on this machine, ready before the first call needs them."""

from __future__ import annotations

import logging

from voxengine.config import VoiceEngineConfig
from voxengine.errors import VoiceEngineError
from voxengine.gateway.gateway import Gateway
from voxengine.providers.base import BaseProvider
from voxengine.providers.capabilities import Capabilities
from voxengine.providers.registry import create_provider, get_provider

__all__ = ["warm_up"]

logger = logging.getLogger("voxengine.gateway")


async def warm_up(gateway: Gateway) -> dict[str, str]:
    """Connect each provider on this machine that the routes name once: then its models are loaded.

    Returns what went wrong, in words, by the name of the provider. A call to such a one would say the same.
    """
    failed: dict[str, str] = {}
    seen: list[dict[str, object]] = []
    for route in gateway.routes:
        for place, link in enumerate(route.links):
            if link.entry in seen or not link.has_key:
                continue
            seen.append(link.entry)
            try:
                config = route.only(place).config()
                if _is_on_device(config):
                    name = f"warm-up {route.name} {place}"
                    await gateway.handler.initialize_connection(name, config)
                    await gateway.handler.close(name)
            except VoiceEngineError as failure:
                failed[link.reference] = str(failure)
                logger.warning("%s cannot be used: %s", link.reference, failure)
    return failed


def _is_on_device(config: VoiceEngineConfig) -> bool:
    """Whether the provider is on this machine, as its class says; of a cascade, its parts decide."""
    stated = getattr(get_provider(config.provider), "capabilities", None)
    if isinstance(stated, Capabilities) and stated is not BaseProvider.capabilities:
        return stated.on_device
    return create_provider(config.provider, config.provider_config()).capabilities.on_device
