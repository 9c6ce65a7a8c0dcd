"""Providers: the contract, the registry, and one folder for each family of vendors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxengine.config import ProviderConfig
from voxengine.events import EventType, ProviderEvent
from voxengine.providers.base import AudioFormat, BaseProvider, ConnectionState, MessageType
from voxengine.providers.capabilities import Capabilities
from voxengine.providers.registry import (
    create_provider,
    find_providers,
    get_provider,
    list_providers,
    register_provider,
    unregister_provider,
)

if TYPE_CHECKING:
    from voxengine.providers.cascade import CascadeProvider
    from voxengine.providers.cascade.local import LocalProvider
    from voxengine.providers.mock import MockConfig, MockProvider

__all__ = [
    "AudioFormat",
    "BaseProvider",
    "Capabilities",
    "CascadeProvider",
    "ConnectionState",
    "EventType",
    "LocalProvider",
    "MessageType",
    "MockConfig",
    "MockProvider",
    "ProviderConfig",
    "ProviderEvent",
    "create_provider",
    "find_providers",
    "get_provider",
    "list_providers",
    "register_provider",
    "unregister_provider",
]

_LATE = {
    "CascadeProvider": "voxengine.providers.cascade",
    "LocalProvider": "voxengine.providers.cascade.local",
    "MockConfig": "voxengine.providers.mock",
    "MockProvider": "voxengine.providers.mock",
}


def __getattr__(name: str) -> Any:
    # A provider is imported when it is asked for, so that naming one does not load them all.
    if name in _LATE:
        import importlib

        return getattr(importlib.import_module(_LATE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
