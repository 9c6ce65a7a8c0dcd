"""How the emulated Voice Agent is put behind the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from voxengine.testing.conformance.case import SECRET
from voxengine.testing.conformance.gateway.stands import Stand, answers, said_well, usual_stand
from voxengine.testing.emulators.assemblyai.agent import AgentEmulator
from voxengine.testing.oracles.assemblyai import agent_judge

__all__ = ["stand"]


def stand(name: str) -> Stand:
    """As usual; but it does not wait until a story has been heard, for nothing can make it stop sooner."""
    return usual_stand(name, start=_start, told=_Told)


class _Told:
    """The model of the session that goes on. What is written is a part of its prompt, and known from there."""

    def __init__(self, emulator: Any, _: Any) -> None:
        self._emulator = emulator

    @property
    def _model(self) -> Any:
        sessions = self._emulator.sessions
        return next((each for each in sessions if not each.over), sessions[-1]).model

    def memory(self) -> list[str]:
        known = [f"{role}: {text}" for role, text in self._model.memory]
        return [*self._model.instructions.splitlines(), *known]

    def instructions(self) -> str:
        return str(self._model.instructions)

    def voice(self) -> str | None:
        voice: str | None = self._model.voice_name
        return voice


@asynccontextmanager
async def _start() -> AsyncIterator[tuple[dict[str, Any], Any]]:
    judge: Any = agent_judge()
    hurried = {"pace": 5.0, "plays_out": False}
    async with AgentEmulator(answers(), key=SECRET, judge=judge, **hurried) as emulator:
        yield emulator.metadata, emulator
        said_well(judge)
