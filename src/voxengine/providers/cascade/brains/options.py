"""Checks of the `options` that a brain is made with."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from voxengine.errors import ConfigurationError

__all__ = ["check_names", "number", "text"]


def check_names(brain: str, options: Mapping[str, Any], allowed: Collection[str]) -> None:
    """Refuse an option that nobody would read.

    Raises:
        ConfigurationError: names the unknown options and the known ones.
    """
    if unknown := sorted(set(options) - set(allowed)):
        raise ConfigurationError(
            f"the {brain} brain has no option {', '.join(map(repr, unknown))}; it has {', '.join(sorted(allowed))}"
        )


def number(
    brain: str,
    options: Mapping[str, Any],
    name: str,
    default: float,
    *,
    least: float = 0,
    above: bool = False,
) -> float:
    """A number of at least `least` (or above it).

    Raises:
        ConfigurationError: it is not a number, or too small.
    """
    value = options.get(name, default)
    if value is None:
        return default
    good = isinstance(value, int | float) and not isinstance(value, bool)
    if not good or not (value > least if above else value >= least):
        bound = "above" if above else "of at least"
        raise ConfigurationError(
            f"option {name!r} of the {brain} brain is a number {bound} {least:g}, not {value!r}"
        )
    return float(value)


def text(brain: str, options: Mapping[str, Any], name: str) -> str | None:
    """A text that is not blank, None where it is not given.

    Raises:
        ConfigurationError: it is something else. Its value is not repeated: it may be a secret.
    """
    value = options.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(
            f"option {name!r} of the {brain} brain is a text that is not blank"
        )
    return value.strip()
