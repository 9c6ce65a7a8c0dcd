"""The emulators by name, found by looking: each folder here with a file `entry.py` says what it emulates.

That file holds `ENTRIES`, a tuple of `Entry`, and imports nothing but this; it is read by itself, without the package
around it, so that looking up a name needs none of the vendors' types.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from voxengine.errors import ConfigurationError
from voxengine.providers.manifest import load, read_manifests

__all__ = ["Entry", "emulators", "make_emulator"]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One emulator.

    What is named as "module:attribute" is imported when it is first used.
    """

    #: That of the provider that speaks to it, too, or of a part: "openai", "stt.deepgram".
    name: str
    #: What it emulates, in a few words.
    about: str
    #: Makes it of: responses, faults, key, speech, host, port, on_event. "module:attribute".
    make: str
    #: By what its messages are judged: "the types of the openai package", "documented shape".
    judged_by: str
    #: The module without which they cannot be judged; "" where it is always there.
    needs: str = ""
    #: Makes the judge of its messages, without arguments; "" for a part, which is not checked by the suite.
    judge: str = ""
    #: Makes the `Scenario` in which the provider is checked against it, of the provider's name; "" is the usual one.
    scenario: str = ""
    #: Makes the `Stand` that puts the provider behind the gateway, of its name; "" is the usual one.
    stand: str = ""
    #: Names of official clients of the vendor that hold conversations with it in the tests.
    clients: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether what its messages are judged by is installed."""
        if not self.needs:
            return True
        try:
            return importlib.util.find_spec(self.needs) is not None
        except ModuleNotFoundError:  # not even the package that it is in
            return False


@cache
def emulators() -> Mapping[str, Entry]:
    """All emulators that there are, by name."""
    found = read_manifests(Path(__file__).parent, "voxengine.testing.emulators", "entry", "ENTRIES")
    return {entry.name: entry for entries in found.values() for entry in entries}


def make_emulator(name: str, **settings: Any) -> Any:
    """Make an emulator by its name; it is not started yet.

    Raises:
        ConfigurationError: there is none, or a setting does not do.
        MissingDependencyError: something that it needs is not installed.
    """
    entry = emulators().get(name)
    if entry is None:
        raise ConfigurationError(
            f"there is no emulator {name!r}; there are {', '.join(emulators())}"
        )
    make: Callable[..., Any] = load(entry.make)
    return make(**settings)
