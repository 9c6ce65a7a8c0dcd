"""What stands behind the gateway: each provider with its settings, its vendor's stand-in, and what that was told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import msgspec

from voxengine.engine import VoiceEngine
from voxengine.providers.manifest import load
from voxengine.testing.conformance.case import SECRET
from voxengine.testing.conformance.checks import expect
from voxengine.testing.conformance.scenario import Scenario, scenario_for, scripted_answers
from voxengine.testing.emulators.catalogue import emulators
from voxengine.testing.oracles.judge import Judge

__all__ = [
    "KEY_VARIABLE",
    "Stand",
    "Told",
    "answers",
    "line",
    "said_well",
    "session_at_work",
    "stand_for",
    "usual_stand",
]

#: The environment variable from which the gateway takes the key of the vendor's stand-in.
KEY_VARIABLE = "VOXENGINE_CONFORMANCE_KEY"

#: What a scripted model says if it is told just that for one response, and what it then says.
ORDER = "Say the name of a fruit."
FRUIT = "Pineapple"


class Told(Protocol):
    """What the model behind the gateway knows at this moment."""

    def memory(self) -> list[str]:
        """The conversation, item by item: words, names and arguments of calls, results."""

    def instructions(self) -> str:
        """What it was told to be."""

    def voice(self) -> str | None:
        """Whose voice it has."""


class Stand(msgspec.Struct, frozen=True, kw_only=True):
    """How one provider is put behind the gateway."""

    name: str
    scenario: Scenario
    #: Starts what it is connected to; gives the provider's metadata, and that itself.
    start: Callable[[], Any]
    #: What the model was told, of what was started and the call's engine; None: it cannot be looked at.
    told: Callable[[Any, VoiceEngine], Told] | None = None
    #: Whether the model does what instructions say.
    obeys: bool = True

    @property
    def key_needed(self) -> bool:
        """Whether it is reached with a key."""
        return self.name not in ("mock", "local", "cascade")


def stand_for(name: str) -> Stand:
    """How this provider is put behind the gateway. One without a stand-in is reached as it is configured."""
    if name == "mock":
        metadata = {"mock_responses": answers()}
        return Stand(name=name, scenario=scenario_for(name), start=_just(metadata), told=_Mock)
    entry = emulators().get(name)
    if entry is not None and entry.judge:
        make = load(entry.stand) if entry.stand else usual_stand
        stand: Stand = make(name)
        return stand
    local = name in ("local", "cascade")
    # Of what it says, the end comes when it has been said: a story takes its time.
    patient = msgspec.structs.replace(scenario_for(name), patience=60.0)
    return Stand(
        name=name,
        scenario=patient,
        start=_just({}),
        told=_Cascade if local else None,
        obeys=False,
    )


def usual_stand(name: str, **changes: Any) -> Stand:
    """A provider that is connected to its emulator; `changes` are fields of it that differ."""
    entry = emulators()[name]

    @asynccontextmanager
    async def start() -> AsyncIterator[tuple[dict[str, Any], Any]]:
        judge: Judge = load(entry.judge)()
        async with load(entry.make)(responses=answers(), key=SECRET, judge=judge) as emulator:
            yield emulator.metadata, emulator
            said_well(judge)

    values = {"scenario": scenario_for(name), "start": start, "told": _Emulated, **changes}
    return Stand(name=name, **values)


def answers() -> dict[str, Any]:
    """What the scripted model says behind the gateway."""
    return {**scripted_answers(), ORDER: FRUIT}


def _just(metadata: dict[str, Any]) -> Callable[[], Any]:
    @asynccontextmanager
    async def start() -> AsyncIterator[tuple[dict[str, Any], Any]]:
        yield metadata, None

    return start


def said_well(judge: Judge | None) -> None:
    """Fail if the gateway has told the vendor what is not as its types have it."""
    wrong = [words for words in judge.violations if words.startswith("client ")] if judge else ()
    expect(not wrong, f"the vendor was told what is invalid: {wrong[:1]}")


# -- what they were told


class _Mock:
    def __init__(self, _: Any, engine: VoiceEngine) -> None:
        self._provider: Any = engine.provider

    def memory(self) -> list[str]:
        return [line(msgspec.to_builtins(entry)) for entry in self._provider.memory.entries]

    def instructions(self) -> str:
        return str(self._provider.config.instructions or "")

    def voice(self) -> str | None:
        voice: str | None = self._provider.config.voice
        return voice


def session_at_work(emulator: Any) -> Any:
    """The first session of an emulator that goes on, or the last: others may have been opened beside it, or for it."""
    sessions = emulator.sessions
    return next((each for each in sessions if not each.over), sessions[-1])


class _Emulated:
    """The model of the session at work."""

    def __init__(self, emulator: Any, _: VoiceEngine) -> None:
        self._model: Any = session_at_work(emulator).model

    def memory(self) -> list[str]:
        # Of some, what was put in becomes a part of the prompt.
        prompt = self.instructions().splitlines()
        return [*prompt, *(f"{role}: {text}" for role, text in self._model.memory)]

    def instructions(self) -> str:
        return str(self._model.instructions or "")

    def voice(self) -> str | None:
        voice: str | None = self._model.voice_name
        return voice


class _Cascade:
    def __init__(self, _: Any, engine: VoiceEngine) -> None:
        self._provider: Any = engine.provider

    def memory(self) -> list[str]:
        return [
            " ".join([m.text, *(f"{c.name} {c.arguments}" for c in m.tool_calls)])
            for m in self._provider.connection.memory.messages()
        ]

    def instructions(self) -> str:
        return str(self._provider.config.instructions or "")

    def voice(self) -> str | None:
        chosen: str | None = self._provider.connection.mouth.voice
        return chosen or next(iter(self._provider.capabilities.voices), None)


def line(item: dict[str, Any]) -> str:
    """All words of an item."""
    parts = (item.get(name) for name in ("text", "name", "arguments", "output"))
    return " ".join(str(part) for part in parts if part)
