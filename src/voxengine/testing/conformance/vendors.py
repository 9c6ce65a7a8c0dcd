"""The vendors that have an emulator: which provider is checked against which, and with what settings."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from voxengine.testing.conformance.scenario import Scenario, scripted_answers
from voxengine.testing.oracles.judge import Judge

__all__ = ["EmulatedVendor", "emulated", "has_emulator"]


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
    make = _SCENARIOS.get(name)
    return make(name) if make is not None else None


def has_emulator(name: str) -> bool:
    """Whether the provider has an emulator, and the types that judge it are installed."""
    return name in _SCENARIOS and importlib.util.find_spec("openai") is not None


def _openai_family(name: str) -> Scenario:
    from voxengine.testing.conformance.case import SECRET
    from voxengine.testing.emulators.openai import OpenAIEmulator
    from voxengine.testing.oracles.openai_realtime import XAI_EXCEPTIONS, realtime_judge

    judge = realtime_judge(XAI_EXCEPTIONS if name == "xai" else None)
    answers = scripted_answers()

    def start(judge: Judge) -> Any:
        return OpenAIEmulator(dialect=name, responses=answers, key=SECRET, judge=judge)

    return Scenario(
        vendor=EmulatedVendor(judge, start),
        own_words=(
            {"type": "conversation.item.retrieve", "item_id": "item_of_nobody"},
            {"type": "output_audio_buffer.clear"},
        ),
    )


def _openai_live(_: str) -> Scenario:
    from voxengine.testing.emulators.openai_live import LiveEmulator
    from voxengine.testing.oracles.openai_live import live_judge

    speech = "go forward ten meters"
    answers = {speech: "Yes " * 40}

    def start(judge: Judge) -> Any:
        return LiveEmulator(answers, judge=judge)

    return Scenario(vendor=EmulatedVendor(live_judge(), start), speech=speech)


_SCENARIOS: dict[str, Callable[[str], Scenario]] = {
    **dict.fromkeys(("openai", "azure", "xai", "custom"), _openai_family),
    "openai-live": _openai_live,
}
