"""Every provider that has an emulator of its vendor, found as the emulators are found; none is named here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from tests.vendors.call import ANSWERS, KEY, Call
from voxengine import VoiceEngineConfig
from voxengine.providers.manifest import load
from voxengine.testing.conformance.gateway.stands import stand_for
from voxengine.testing.emulators.catalogue import emulators

__all__ = ["NAMES", "config_for", "knows", "need", "ringing", "running"]

NAMES = sorted(name for name, entry in emulators().items() if entry.judge)


def need(*names: str) -> None:
    """Skip the test where the types are missing by which one of these is judged."""
    for name in names:
        entry = emulators()[name]
        if not entry.ready:
            pytest.skip(
                f"{name} is judged by {entry.judged_by}: {entry.needs} is not installed here"
            )


@asynccontextmanager
async def running(name: str, responses: Any = None, **settings: Any) -> AsyncIterator[Any]:
    """The emulator of this provider's vendor. All that it was sent has to be valid by the vendor's types."""
    entry = emulators()[name]
    judge = load(entry.judge)()
    answers = ANSWERS if responses is None else responses
    make = load(entry.make)
    async with make(responses=answers, key=KEY, judge=judge, **settings) as emulator:
        yield emulator
    assert judge.violations == []


def config_for(name: str, emulator: Any, **settings: Any) -> VoiceEngineConfig:
    """The configuration that leads to it."""
    metadata = {**emulator.metadata, **settings.pop("metadata", {})}
    return VoiceEngineConfig(
        provider=name, api_key=KEY, apology=None, metadata=metadata, **settings
    )


def ringing(name: str, emulator: Any, **config: Any) -> Call:
    """A call to it."""
    return Call(emulator, provider=name, **config)


def knows(name: str, emulator: Any, call: Call) -> str:
    """All that the model of the emulator's latest session was told and has said, as one text."""
    told = stand_for(name).told
    assert told is not None
    latest = SimpleNamespace(sessions=[emulator.sessions[-1]])
    model = told(latest, call.engine)
    return " | ".join([model.instructions(), *model.memory()])
