"""Providers by name: the built-in ones, those of installed packages, and those that the application registers.

A package offers a provider through the entry-point group `voxengine.providers`: name = "module:Class".
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeAlias

from voxengine.config import ProviderConfig
from voxengine.errors import ConfigurationError, UnknownProviderError, VoiceEngineError
from voxengine.providers.base import BaseProvider
from voxengine.providers.capabilities import Capabilities
from voxengine.providers.manifest import load, vendors

__all__ = [
    "ENTRY_POINT_GROUP",
    "create_provider",
    "find_providers",
    "get_provider",
    "list_providers",
    "register_provider",
    "unregister_provider",
]

logger = logging.getLogger("voxengine.providers")

ENTRY_POINT_GROUP = "voxengine.providers"

#: A class of providers, or a function that makes one from its configuration.
Factory: TypeAlias = "type[BaseProvider] | Callable[[ProviderConfig], BaseProvider]"

_registered: dict[str, Factory] = {}
_offered: dict[str, Any] | None = None


def register_provider(name: str, factory: Factory) -> None:
    """Make a provider known under `name`; a later registration of the same name replaces the earlier one.

    Raises:
        ConfigurationError: the name is empty, or `factory` cannot make providers.
    """
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError("a provider is registered under a name that is not empty")
    _check_factory(factory, repr(factory))
    _registered[name] = factory


def unregister_provider(name: str) -> None:
    """Forget a registration of the application's own; a built-in of the same name is there again."""
    _registered.pop(name, None)


def list_providers() -> list[str]:
    """The names of all providers, sorted."""
    return sorted({*_built_in(), *_entry_points(), *_registered})


def get_provider(name: str) -> Factory:
    """The class (or function) registered under `name`.

    Raises:
        UnknownProviderError: there is none; the message lists those there are.
        ConfigurationError: an installed package offers it, but it cannot be loaded.
    """
    if name in _registered:
        return _registered[name]
    if name in _built_in():
        factory: Factory = load(_built_in()[name])
        return factory
    if name in _entry_points():
        return _load(_entry_points()[name])
    known = list_providers()
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UnknownProviderError(
        f"no provider {name!r} is registered; there are {', '.join(known)}.{hint} "
        "register_provider(name, Class) adds one",
        provider=name,
    )


def create_provider(
    name: str, config: Mapping[str, Any] | ProviderConfig | None = None
) -> BaseProvider:
    """A new provider, not yet connected.

    Raises:
        UnknownProviderError: no provider has that name.
        ConfigurationError: its configuration does not do.
    """
    factory = get_provider(name)
    try:
        provider = factory(ProviderConfig.of(config))
    except VoiceEngineError:
        raise
    except Exception as failure:
        raise ConfigurationError(
            f"provider {name!r} cannot be made: {type(failure).__name__}: {failure}"
        ) from failure
    if not isinstance(provider, BaseProvider):
        raise ConfigurationError(
            f"the factory of provider {name!r} made a {type(provider).__name__}"
        )
    provider.name = name
    return provider


def find_providers(*features: str) -> list[str]:
    """Names of the providers that have all these capabilities (fields of `Capabilities`).

    Raises:
        ConfigurationError: there is no such capability.
    """
    for feature in features:
        if feature.lower() not in Capabilities.__struct_fields__:
            near = difflib.get_close_matches(feature.lower(), Capabilities.__struct_fields__, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigurationError(f"there is no capability {feature!r}{hint}")
    found = []
    for name in list_providers():
        try:
            capabilities = getattr(get_provider(name), "capabilities", None)
        except VoiceEngineError as failure:
            logger.warning("%s", failure)  # one broken package does not hide the others
            continue
        if isinstance(capabilities, Capabilities) and all(
            capabilities.supports(f) for f in features
        ):
            found.append(name)
    return found


@cache
def _built_in() -> Mapping[str, str]:
    # From the folders, and not only as entry points, so that a checkout works without being installed.
    return {
        name: place for vendor in vendors().values() for name, place in vendor.providers.items()
    }


def _check_factory(factory: Any, shown: str) -> None:
    if not callable(factory) or (
        isinstance(factory, type) and not issubclass(factory, BaseProvider)
    ):
        raise ConfigurationError(
            f"{shown} is neither a subclass of BaseProvider nor a function that makes one"
        )


def _load(point: Any) -> Factory:
    shown = f"provider {point.name!r} ({point.value})"
    try:
        factory: Factory = point.load()
    except VoiceEngineError:
        raise
    except Exception as failure:
        raise ConfigurationError(
            f"{shown} cannot be loaded: {type(failure).__name__}: {failure}"
        ) from failure
    _check_factory(factory, shown)
    return factory


def _entry_points() -> dict[str, Any]:
    # Read once and late: reading all installed packages' metadata takes longer than importing this package.
    global _offered
    if _offered is None:
        from importlib.metadata import entry_points

        _offered = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    return _offered
