"""How the emulator of OpenAI Realtime is made by name, and how the providers of its protocol are checked against it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from voxengine.testing.conformance.case import SECRET
from voxengine.testing.conformance.gateway.stands import Stand, answers, line, said_well
from voxengine.testing.conformance.scenario import Scenario, scenario_for
from voxengine.testing.conformance.vendors import usual_scenario
from voxengine.testing.emulators.openai import OpenAIEmulator
from voxengine.testing.oracles.judge import Judge
from voxengine.testing.oracles.openai_realtime import XAI_EXCEPTIONS, realtime_judge

__all__ = [
    "judge_of_openai",
    "judge_of_xai",
    "make_azure",
    "make_custom",
    "make_openai",
    "make_xai",
    "scenario",
    "stand",
]


def make_openai(**settings: Any) -> OpenAIEmulator:
    """OpenAI's."""
    return OpenAIEmulator("openai", **settings)


def make_azure(**settings: Any) -> OpenAIEmulator:
    """Azure's."""
    return OpenAIEmulator("azure", **settings)


def make_xai(**settings: Any) -> OpenAIEmulator:
    """XAI's."""
    return OpenAIEmulator("xai", **settings)


def make_custom(**settings: Any) -> OpenAIEmulator:
    """Anybody's."""
    return OpenAIEmulator("custom", **settings)


def judge_of_openai() -> Judge:
    """By OpenAI's types."""
    return realtime_judge()


def judge_of_xai() -> Judge:
    """By OpenAI's types, and xAI's differences."""
    return realtime_judge(XAI_EXCEPTIONS)


def scenario(name: str) -> Scenario:
    """The general one, and messages in OpenAI's words."""
    return usual_scenario(
        name,
        own_words=(
            {"type": "conversation.item.retrieve", "item_id": "item_of_nobody"},
            {"type": "output_audio_buffer.clear"},
        ),
    )


def stand(name: str) -> Stand:
    """Behind the gateway."""
    return Stand(name=name, scenario=scenario_for(name), start=_start(name), told=_Told)


def _start(name: str) -> Callable[[], Any]:
    @asynccontextmanager
    async def start() -> AsyncIterator[tuple[dict[str, Any], Any]]:
        async with OpenAIEmulator(dialect=name, responses=answers(), key=SECRET) as emulator:
            yield emulator.metadata, emulator
            said_well(emulator.judge)

    return start


class _Told:
    def __init__(self, emulator: Any, _: Any) -> None:
        self._session = emulator.sessions[0]

    def memory(self) -> list[str]:
        return [line({**item.value, "text": item.words}) for item in self._session.items]

    def instructions(self) -> str:
        return str(self._session.settings.values["instructions"])

    def voice(self) -> str | None:
        return str(self._session.settings.output["voice"])
