"""Waiting until what was said has been answered, and the answer has been heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from voxengine.errors import ConnectionError
from voxengine.events import ConnectionLost, EventType, ProviderEvent

if TYPE_CHECKING:
    from voxengine.engine import VoiceEngine

__all__ = ["TurnWatch", "lost"]

#: Seconds between two looks.
_LOOK = 0.02
#: Seconds for which all has to be quiet: an answer may be followed by another right away.
_CALM = 0.3
#: Seconds of quiet after which no answer is expected any more: the engine's own limit, and what it takes to notice that
#: somebody has stopped speaking, but no longer than this.
_PATIENCE = 8.0
_NOTICED = 2.0

_INPUT = (EventType.VAD_SPEECH_STARTED, EventType.CONVERSATION_TURN_DETECTED, EventType.TEXT_INPUT)
_ENDED = (
    EventType.RESPONSE_COMPLETED,
    EventType.RESPONSE_CANCELLED,
    EventType.RESPONSE_ERROR,
    EventType.ERROR_GENERAL,
)


def lost(event: ConnectionLost) -> ConnectionError:
    """The error for a connection that was lost."""
    why = event.error or event.reason or event.code
    words = f"the connection to {event.provider!r} was lost: {why}"
    return ConnectionError(words, provider=event.provider, code=event.code)


class TurnWatch:
    """Knows whether an answer is still due. Make it before anything is said.

    `silent()` says whether the loudspeaker has nothing left to play.
    """

    def __init__(self, engine: VoiceEngine, silent: Callable[[], bool] = lambda: True) -> None:
        self._engine = engine
        self._silent = silent
        self._now = asyncio.get_running_loop().time
        self._patience = min(_PATIENCE, engine.config.response_timeout + _NOTICED)
        self._input_at = float("-inf")
        self._answered_at = float("-inf")
        self._heard_at = float("-inf")
        self._lost: ConnectionLost | None = None
        engine.on(EventType.AUDIO_OUTPUT_STARTED, self._on_sound)
        engine.on(_INPUT, self._on_input)
        engine.on(_ENDED, self._on_answer)
        engine.on(EventType.CONNECTION_LOST, self._on_lost)
        engine.on(EventType.CONNECTION_RESTORED, self._on_restored)

    def _on_input(self, _: ProviderEvent) -> None:
        self._input_at = self._now()

    def _on_answer(self, _: ProviderEvent) -> None:
        self._answered_at = self._now()

    def _on_sound(self, _: ProviderEvent) -> None:
        self._heard_at = self._now()

    def _on_lost(self, event: ConnectionLost) -> None:
        self._lost = event

    def _on_restored(self, _: ProviderEvent) -> None:
        self._lost = None

    async def answered(self, *, at_least: float = 0.0) -> bool:
        """Wait until what was said since this call began, or just before, was answered and the answer was heard.

        Args:
            at_least: seconds to wait in any case: how long it may take until an end of speech is noticed.

        Returns:
            False if there was none.

        Raises:
            ConnectionError: the provider was lost, and is not about to come back.
        """
        began = quiet_since = self._now()
        while True:
            now = self._now()
            if self._lost is not None and not self._engine.is_reconnecting:
                raise lost(self._lost)
            if self._engine.state != "idle" or not self._silent():
                quiet_since = now
            quiet = now - quiet_since
            is_answered = self._answered_at >= self._input_at and self._answered_at > float("-inf")
            if is_answered and quiet >= _CALM and now - began >= at_least:
                return True
            if quiet >= self._patience:
                return False
            await asyncio.sleep(_LOOK)

    async def under_way(self, seconds: float) -> bool:
        """Wait until the answer to what was said has been heard for so long.

        Returns:
            False if there was none, or none of that length.

        Raises:
            ConnectionError: the provider was lost, and is not about to come back.
        """
        began = self._now()
        while True:
            now = self._now()
            if self._lost is not None and not self._engine.is_reconnecting:
                raise lost(self._lost)
            answering = self._heard_at > max(began, self._input_at)
            if answering and now - self._heard_at >= seconds:
                return self._engine.state == "speaking"
            if not answering and now - max(began, self._input_at) >= self._patience:
                return False
            await asyncio.sleep(_LOOK)
