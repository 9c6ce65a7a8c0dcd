"""The emulators by name, for those who start one by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from voxengine.errors import ConfigurationError

__all__ = ["EMULATORS", "Entry", "make_emulator"]


class Entry(msgspec.Struct, frozen=True):
    """One emulator. `name` is also that of the provider that speaks to it."""

    name: str
    about: str
    #: Makes it of: responses, faults, key, speech, host, port, on_event.
    make: Callable[..., Any]


def _openai(name: str) -> Callable[..., Any]:
    def make(**settings: Any) -> Any:
        from voxengine.testing.emulators.openai import OpenAIEmulator

        return OpenAIEmulator(name, **settings)

    return make


def _live(*, on_event: Any, **settings: Any) -> Any:
    # Nothing is told of single turns: this protocol has none.
    from voxengine.testing.emulators.openai_live import LiveEmulator

    return LiveEmulator(**settings)


#: All emulators that there are.
EMULATORS: Mapping[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry("openai", "OpenAI Realtime", _openai("openai")),
        Entry("azure", "Azure OpenAI Realtime", _openai("azure")),
        Entry("xai", "xAI Grok Voice", _openai("xai")),
        Entry("custom", "an OpenAI-compatible endpoint", _openai("custom")),
        Entry("openai-live", "OpenAI Live", _live),
    )
}


def make_emulator(name: str, **settings: Any) -> Any:
    """Make an emulator by its name; it is not started yet.

    Raises:
        ConfigurationError: there is none, or a setting does not do.
        MissingDependencyError: something that it needs is not installed.
    """
    entry = EMULATORS.get(name)
    if entry is None:
        raise ConfigurationError(f"there is no emulator {name!r}; there are {', '.join(EMULATORS)}")
    return entry.make(**settings)
