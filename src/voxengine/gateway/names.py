"""Names in a configuration, and what is said of one that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from voxengine.errors import ConfigurationError

__all__ = ["LOOPBACK", "check_names", "meant"]

#: Names of hosts that only this machine reaches.
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def check_names(values: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raise, if there is a name that is not known.

    Raises:
        ConfigurationError: it names it, and what was probably meant.
    """
    names = tuple(known)
    for name in values:
        if name not in names:
            raise ConfigurationError(f"{where} has no setting {name!r}; {meant(name, names)}")


def meant(name: str, known: Iterable[str]) -> str:
    """The one that was probably meant, or else all there are."""
    names = tuple(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(names) or 'none'}"
