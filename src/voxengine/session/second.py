"""Keeps a second, hidden connection open beside the one at work, without ever troubling that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from voxengine.config import VoiceEngineConfig
from voxengine.errors import VoiceEngineError
from voxengine.events import ProviderEvent, SystemWarning
from voxengine.providers.capabilities import Capabilities
from voxengine.session.chain import successor_config
from voxengine.session.core import SessionCore
from voxengine.session.leg import Leg

__all__ = ["PAUSE", "Owner", "Second"]

#: Seconds before it is opened anew, when it was lost or could not be opened; twice as long each time.
PAUSE = 5.0
LONGEST_PAUSE = 120.0
#: Seconds before its longest time at which it is replaced.
MARGIN = 60.0


class Owner(Protocol):
    """What it needs of the session."""

    config: VoiceEngineConfig
    core: SessionCore

    def second(self, config: VoiceEngineConfig) -> Leg:
        """A hidden leg, which is not open yet."""

    async def open_leg(self, leg: Leg, budget: float | None) -> None:
        """Connect it, and tell it the conversation."""

    def retire(self, leg: Leg) -> None:
        """Close a leg that is not needed any more."""

    def show(self, event: ProviderEvent) -> None:
        """Tell the application."""


class Second:
    """The task that does it. `opened(leg)` is called when it is open, `gone(leg)` when it is of no use any more."""

    def __init__(
        self,
        owner: Owner,
        now: Callable[[], float],
        opened: Callable[[Leg], None],
        gone: Callable[[Leg], None],
    ) -> None:
        self._owner = owner
        self._now = now
        self._opened = opened
        self._gone = gone
        self._task: asyncio.Task[None] | None = None
        #: Its configuration; None: there is to be none.
        self.config: VoiceEngineConfig | None = None

    def begin(self, config: VoiceEngineConfig) -> None:
        """Open the one that this configuration of the one at work asks for, if it does."""
        if config.hedge is None:
            return
        try:
            second = successor_config(config, config.hedge)
        except VoiceEngineError as failure:
            self._warn(f"the second provider cannot be made: {failure}")
            return
        formats = {"input_format": config.input_format, "output_format": config.output_format}
        self.config = second.with_changes(**formats)
        self.keep(None)

    def keep(self, leg: Leg | None, pause: float = 0.0) -> None:
        """Watch this leg from now on; without one, open it after a pause."""
        self._cancel()
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._keep(leg, pause), name="voxengine-hedge")

    def stop(self) -> set[asyncio.Task[None]]:
        """There is to be none any more; returns the task, if that has yet to end."""
        self.config = None
        return self._cancel()

    def _cancel(self) -> set[asyncio.Task[None]]:
        task, self._task = self._task, None
        if task is None or task.done() or task is asyncio.current_task():
            return set()
        task.cancel()
        return {task}

    async def _keep(self, leg: Leg | None, pause: float) -> None:
        wait = pause
        while self.config is not None:
            if leg is None:
                await asyncio.sleep(wait)
                pause = wait = min(LONGEST_PAUSE, max(PAUSE, pause * 2))
                leg = await self._open(self.config)
                if leg is None:
                    continue
                self._opened(leg)
                if self._task is not asyncio.current_task():
                    return  # it is at work already, and another is opened
            try:
                async with asyncio.timeout(self._lasts(leg)):
                    await leg.gone.wait()
                if self._now() - leg.opened_at > LONGEST_PAUSE:
                    pause = wait = PAUSE
            except TimeoutError:
                wait = 0.0
            self._gone(leg)
            leg = None

    async def _open(self, config: VoiceEngineConfig) -> Leg | None:
        owner = self._owner
        leg: Leg | None = None
        try:
            leg = owner.second(config)
            why = _unfit(owner.config, owner.core.capabilities, leg.provider.capabilities)
            if why:
                self.config = None
                self._warn(why)
                return None
            await owner.open_leg(leg, None)
        except asyncio.CancelledError:
            if leg is not None:
                owner.retire(leg)
            raise
        except VoiceEngineError as failure:
            self._warn(f"{config.provider} could not be opened: {failure}")
            return None
        return leg

    def _lasts(self, leg: Leg) -> float | None:
        limit = leg.provider.capabilities.max_connection_seconds
        if limit is None:
            return None
        return max(0.0, leg.opened_at + max(limit / 2, limit - MARGIN) - self._now())

    def _warn(self, words: str) -> None:
        name = self._owner.config.provider
        self._owner.show(SystemWarning(code="no_hedge", message=words, provider=name))


def _unfit(config: VoiceEngineConfig, one: Capabilities, other: Capabilities) -> str:
    """Why two providers cannot be hedged; nothing if they can."""
    if one.history != "items" or other.history != "items":
        return "hedging needs two providers that can be told at any time what the other one said"
    if not (one.answers and other.answers):
        return "hedging needs two providers that answer"
    if one.audio_output != other.audio_output and config.modalities != ["text"]:
        return "hedging needs two providers that both speak, or neither"
    if config.turn_detection == "none" and not other.commit:
        return "the second provider does not let the application end the user's turns"
    return ""
