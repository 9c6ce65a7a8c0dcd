"""How the emulator of OpenAI Live is made by name, and how the provider is checked against it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from voxengine.testing.conformance.case import SECRET
from voxengine.testing.conformance.gateway.stands import Stand, said_well
from voxengine.testing.conformance.scenario import Scenario, scenario_for
from voxengine.testing.conformance.vendors import usual_scenario
from voxengine.testing.emulators.openai_live import LiveEmulator

__all__ = ["make", "scenario", "stand"]

_SPEECH = "go forward ten meters"
_TASK = "what is the weather"


def make(*, on_event: Any = None, **settings: Any) -> LiveEmulator:
    """The emulator. Nothing is told of single turns: this protocol has none."""
    return LiveEmulator(**settings)


def scenario(name: str) -> Scenario:
    """What is said, is answered at length."""
    return usual_scenario(name, answers={_SPEECH: "Yes " * 40}, speech=_SPEECH)


def stand(name: str) -> Stand:
    """Behind the gateway: all that it can be told to do is a task."""
    delegate = {
        "name": "delegate",
        "description": "Do what the user has asked for.",
        "parameters": {"type": "object", "properties": {"task": {"type": "string"}}},
    }
    changed = msgspec.structs.replace(scenario_for(name), tool=_TASK, tools=[delegate])
    return Stand(name=name, scenario=changed, start=_start, told=_Told)


@asynccontextmanager
async def _start() -> AsyncIterator[tuple[dict[str, Any], Any]]:
    task = {"tool": {"name": "delegate", "arguments": {}}, "then": "It is so: {output}"}
    answers = {_SPEECH: "Yes " * 40, _TASK: task}
    async with LiveEmulator(answers, key=SECRET) as emulator:
        yield emulator.metadata, emulator
        said_well(emulator.judge)


class _Told:
    def __init__(self, emulator: Any, _: Any) -> None:
        self._session = emulator.sessions[-1]

    def memory(self) -> list[str]:
        given = [json.dumps(self._session.config)]
        return [*given, *(content for _, content in self._session.context)]

    def instructions(self) -> str:
        return json.dumps(self._session.config)

    def voice(self) -> str | None:
        voice: str | None = self._session.config["audio"]["output"].get("voice")
        return voice
