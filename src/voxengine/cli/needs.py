"""What a provider needs to run here: an extra that is installed, models, a key. Names only, never a key itself."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from importlib import metadata

from voxengine.providers.base import BaseProvider
from voxengine.providers.capabilities import Capabilities
from voxengine.providers.manifest import vendors
from voxengine.providers.registry import create_provider, get_provider

__all__ = ["Extra", "Needs", "capabilities_of", "extras", "key_variables", "needs_of"]

_REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9._-]+)(?:\[([^\]]*)\])?\s*([^;]*?)\s*(?:;(.*))?$")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")


@dataclass
class Extra:
    """An optional part of the package, and which of its requirements are there."""

    name: str
    installed: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether all of it is installed."""
        return not self.missing

    @property
    def command(self) -> str:
        """What installs it."""
        return f"pip install 'voxengine[{self.name}]'"


def extras() -> dict[str, Extra]:
    """All extras of the installed package, from its own metadata."""
    try:
        requirements = metadata.requires("voxengine") or []
    except metadata.PackageNotFoundError:
        return {}  # a checkout that was never installed
    found: dict[str, Extra] = {}
    nested: list[tuple[str, str]] = []
    for requirement in requirements:
        parsed = _REQUIREMENT.match(requirement)
        of = _EXTRA.search(requirement)
        if parsed is None or of is None:
            continue
        extra = found.setdefault(of[1], Extra(of[1]))
        if parsed[1].lower() == "voxengine":
            nested += [(of[1], inner.strip()) for inner in (parsed[2] or "").split(",")]
        else:
            _note(extra, parsed[1], parsed[3])
    # An extra of an extra: its requirements are those of the inner one as well.
    for _ in range(len(nested)):
        for outer, inner in nested:
            if inner in found:
                found[outer].installed.update(found[inner].installed)
                found[outer].missing += [
                    m for m in found[inner].missing if m not in found[outer].missing
                ]
    return found


def _note(extra: Extra, name: str, version: str) -> None:
    try:
        extra.installed[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        extra.missing.append(name + version)


def key_variables(provider: str) -> tuple[str, ...]:
    """The variables that the key of a provider is taken from, the usual one first."""
    named = f"{provider.upper().replace('-', '_')}_API_KEY"
    try:
        usual = getattr(get_provider(provider), "key_variables", ())
    except Exception:  # it cannot be imported, or there is none: then it has the usual name
        usual = ()
    return tuple(dict.fromkeys((*usual, named, "VOXENGINE_API_KEY")))


@dataclass
class Needs:
    """What a provider needs, and what of it is not there."""

    extra: str = ""
    key: str = ""
    missing: list[str] = field(default_factory=list)

    @property
    def ready(self) -> bool:
        """Whether all of it is there."""
        return not self.missing

    @property
    def words(self) -> str:
        """In words."""
        parts = [f"extra {self.extra}"] if self.extra else []
        parts += [f"key {self.key}"] if self.key else []
        return ", ".join(parts) or "nothing"


def capabilities_of(name: str) -> Capabilities | None:
    """What a provider can do: what its class states, else what one that is made (not connected) states.

    Raises:
        UnknownProviderError: there is no such provider.
    """
    factory = get_provider(name)
    stated = getattr(factory, "capabilities", None)
    if isinstance(stated, Capabilities) and stated is not BaseProvider.capabilities:
        return stated
    try:
        return create_provider(name).capabilities
    except Exception:  # it wants a configuration, or lacks something: then it is not known
        return None


def _extra_of(name: str) -> str:
    """The extra that a provider of ours needs, by its manifest."""
    return next((v.extras[name] for v in vendors().values() if name in v.extras), "")


def needs_of(name: str) -> Needs:
    """What a provider needs. Imports none of it.

    Raises:
        UnknownProviderError: there is no such provider.
    """
    capabilities = capabilities_of(name)
    needs = Needs(extra=getattr(get_provider(name), "extra", None) or _extra_of(name))
    if needs.extra:
        known = extras().get(needs.extra)
        if known is not None and known.missing:
            needs.missing.append(known.command)
    # A cascade is on this machine or not, as its parts are; these know their keys themselves.
    if capabilities is not None and not capabilities.on_device and name != "cascade":
        needs.key = key_variables(name)[0]
        if not any(os.environ.get(variable) for variable in key_variables(name)):
            needs.missing.append(f"set {needs.key}")
    return needs
