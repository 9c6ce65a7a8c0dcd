"""How the Voice Agent is put behind the gateway: what the application notes becomes a part of its prompt."""

from __future__ import annotations

from typing import Any

from voxengine.engine import VoiceEngine
from voxengine.testing.conformance.gateway.stands import Stand, usual_stand

__all__ = ["stand"]


def stand(name: str) -> Stand:
    """Behind the gateway: what it knows stands in its prompt, too."""
    return usual_stand(name, told=_Told)


class _Told:
    """The model of the emulator's first session: one beside the conversation may have followed."""

    def __init__(self, emulator: Any, _: VoiceEngine) -> None:
        self._model: Any = emulator.sessions[0].model

    def memory(self) -> list[str]:
        said = [f"{role}: {text}" for role, text in self._model.memory]
        return [*said, *(f"system: {part}" for part in self.instructions().split("\n\n"))]

    def instructions(self) -> str:
        return str(self._model.instructions)

    def voice(self) -> str | None:
        voice: str | None = self._model.voice_name
        return voice
