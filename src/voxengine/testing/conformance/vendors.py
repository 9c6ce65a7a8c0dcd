"""The vendors that have an emulator: which provider is checked against which, and with what settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from voxengine.providers.manifest import load
from voxengine.testing.conformance.scenario import Scenario, scripted_answers
from voxengine.testing.emulators.catalogue import emulators
from voxengine.testing.oracles.judge import Judge

__all__ = ["EmulatedVendor", "emulated", "has_emulator", "usual_scenario"]


class EmulatedVendor:
    """An emulator for each check, and one judge for all of them.

    `start(judge)` makes an emulator: an async context manager with `metadata`, the settings to find it by.
    """

    def __init__(self, judge: Judge, start: Callable[[Judge], Any]) -> None:
        self._judge = judge
        self._start = start

    def open(self) -> AbstractAsyncContextManager[Mapping[str, Any]]:
        """Start one on the running loop."""
        return self._opened()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Mapping[str, Any]]:
        async with self._start(self._judge) as emulator:
            yield {"metadata": emulator.metadata}

    def figures(self) -> dict[str, Any]:
        """Counts of the judge, and the first things that were wrong."""
        wrong = list(self._judge.violations[:20])
        return {**self._judge.figures(), **({"wrong": wrong} if wrong else {})}


def emulated(name: str) -> Scenario | None:
    """The scenario of a provider that has an emulator; None: it has none."""
    entry = emulators().get(name)
    if entry is None or not entry.judge:
        return None
    make = load(entry.scenario) if entry.scenario else usual_scenario
    scenario: Scenario = make(name)
    return scenario


def has_emulator(name: str) -> bool:
    """Whether the provider has an emulator, and the types that judge it are installed."""
    entry = emulators().get(name)
    return entry is not None and bool(entry.judge) and entry.ready


def usual_scenario(name: str, **changes: Any) -> Scenario:
    """The general scenario against the emulator of this name; `changes` are fields of it that differ."""
    from voxengine.testing.conformance.case import SECRET

    entry = emulators()[name]
    make = load(entry.make)
    answers = changes.pop("answers", None) or scripted_answers()

    def start(judge: Judge) -> Any:
        return make(responses=answers, key=SECRET, judge=judge)

    return Scenario(vendor=EmulatedVendor(load(entry.judge)(), start), **changes)
