"""What stands behind the gateway: each provider with its settings, its vendor's stand-in, and what that was told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import msgspec

from voxengine.engine import VoiceEngine
from voxengine.testing.conformance.case import SECRET
from voxengine.testing.conformance.checks import expect
from voxengine.testing.conformance.scenario import Scenario, scenario_for, scripted_answers
from voxengine.testing.oracles.judge import Judge

__all__ = ["KEY_VARIABLE", "Stand", "Told", "stand_for"]

#: The environment variable from which the gateway takes the key of the vendor's stand-in.
KEY_VARIABLE = "VOXENGINE_CONFORMANCE_KEY"

#: What a scripted model says if it is told just that for one response, and what it then says.
ORDER = "Say the name of a fruit."
FRUIT = "Pineapple"
_TASK = "what is the weather"


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
        metadata = {"mock_responses": _answers()}
        return Stand(name=name, scenario=scenario_for(name), start=_just(metadata), told=_Mock)
    if name in ("openai", "azure", "xai", "custom"):
        return Stand(name=name, scenario=scenario_for(name), start=_openai(name), told=_OpenAI)
    if name == "openai-live":
        return Stand(name=name, scenario=_live_scenario(), start=_live, told=_Live)
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


def _answers() -> dict[str, Any]:
    return {**scripted_answers(), ORDER: FRUIT}


def _just(metadata: dict[str, Any]) -> Callable[[], Any]:
    @asynccontextmanager
    async def start() -> AsyncIterator[tuple[dict[str, Any], Any]]:
        yield metadata, None

    return start


def _openai(name: str) -> Callable[[], Any]:
    @asynccontextmanager
    async def start() -> AsyncIterator[tuple[dict[str, Any], Any]]:
        from voxengine.testing.emulators.openai import OpenAIEmulator

        async with OpenAIEmulator(dialect=name, responses=_answers(), key=SECRET) as emulator:
            yield emulator.metadata, emulator
            _said_well(emulator.judge)

    return start


def _live_scenario() -> Scenario:
    delegate = {
        "name": "delegate",
        "description": "Do what the user has asked for.",
        "parameters": {"type": "object", "properties": {"task": {"type": "string"}}},
    }
    return msgspec.structs.replace(scenario_for("openai-live"), tool=_TASK, tools=[delegate])


@asynccontextmanager
async def _live() -> AsyncIterator[tuple[dict[str, Any], Any]]:
    from voxengine.testing.emulators.openai_live import LiveEmulator

    task = {"tool": {"name": "delegate", "arguments": {}}, "then": "It is so: {output}"}
    scenario = scenario_for("openai-live")
    answers = {str(scenario.speech): "Yes " * 40, _TASK: task}
    async with LiveEmulator(answers, key=SECRET) as emulator:
        yield emulator.metadata, emulator
        _said_well(emulator.judge)


def _said_well(judge: Judge | None) -> None:
    """Fail if the gateway has told the vendor what is not as its types have it."""
    wrong = [words for words in judge.violations if words.startswith("client ")] if judge else ()
    expect(not wrong, f"the vendor was told what is invalid: {wrong[:1]}")


# -- what they were told


class _Mock:
    def __init__(self, _: Any, engine: VoiceEngine) -> None:
        self._provider: Any = engine.provider

    def memory(self) -> list[str]:
        return [_line(msgspec.to_builtins(entry)) for entry in self._provider.memory.entries]

    def instructions(self) -> str:
        return str(self._provider.config.instructions or "")

    def voice(self) -> str | None:
        voice: str | None = self._provider.config.voice
        return voice


class _OpenAI:
    def __init__(self, emulator: Any, _: VoiceEngine) -> None:
        self._session = emulator.sessions[0]

    def memory(self) -> list[str]:
        return [_line({**item.value, "text": item.words}) for item in self._session.items]

    def instructions(self) -> str:
        return str(self._session.settings.values["instructions"])

    def voice(self) -> str | None:
        return str(self._session.settings.output["voice"])


class _Live:
    def __init__(self, emulator: Any, _: VoiceEngine) -> None:
        self._session = emulator.sessions[-1]

    def memory(self) -> list[str]:
        given = [json.dumps(self._session.config)]
        return [*given, *(content for _, content in self._session.context)]

    def instructions(self) -> str:
        return json.dumps(self._session.config)

    def voice(self) -> str | None:
        return json.dumps(self._session.config)


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


def _line(item: dict[str, Any]) -> str:
    parts = (item.get(name) for name in ("text", "name", "arguments", "output"))
    return " ".join(str(part) for part in parts if part)
