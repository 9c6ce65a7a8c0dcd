"""How the emulated Ultravox is put behind the gateway."""

from __future__ import annotations

from typing import Any

from voxengine.testing.conformance.gateway.stands import Stand, usual_stand

__all__ = ["stand"]


def stand(name: str) -> Stand:
    """As usual; but a call that nobody has used may have been replaced by another."""
    return usual_stand(name, told=_Told)


class _Told:
    """The model of the first call that goes on."""

    def __init__(self, emulator: Any, _: Any) -> None:
        self._emulator = emulator

    @property
    def _model(self) -> Any:
        sessions = self._emulator.sessions
        return next((each for each in sessions if not each.over), sessions[-1]).model

    def memory(self) -> list[str]:
        return [f"{role}: {text}" for role, text in self._model.memory]

    def instructions(self) -> str:
        return str(self._model.instructions)

    def voice(self) -> str | None:
        voice: str | None = self._model.voice_name
        return voice
