"""`TimedProvider`: a provider over a WebSocket whose vendor bills the length of a session, and does not tell it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from voxengine import events as ev
from voxengine.config import ProviderConfig
from voxengine.providers.socket_provider import SocketProvider

__all__ = ["TimedProvider"]


class TimedProvider(SocketProvider):
    """Counts the seconds of the session itself: `input_audio_seconds` of `UsageUpdated`, the output having none.

    A vendor's provider calls `start_clock` when the session begins, and `bill` whenever that is to be told: after each
    response, and when the session ends.
    """

    def __init__(self, config: Mapping[str, Any] | ProviderConfig | None = None) -> None:
        super().__init__(config)
        self._billed_to: float | None = None
        self._seconds = 0.0

    @property
    def billed_as(self) -> str:
        """The vendor's name of what is billed."""
        raise NotImplementedError

    def start_clock(self) -> None:
        """The session begins."""
        self._billed_to = _now()

    def bill(self) -> None:
        """Tell the seconds that have passed since they were told."""
        if self._billed_to is None or not self.is_connected:
            return
        since, self._billed_to = self._billed_to, _now()
        added = self._billed_to - since
        if added > 0:
            self._seconds += added
            used = ev.UsageUpdated(model=self.billed_as, input_audio_seconds=added, **self.meta())
            self.emit(used)

    async def get_usage(self) -> dict[str, Any] | None:
        """What is billed, and the seconds of the session so far."""
        to_tell = _now() - self._billed_to if self._billed_to is not None and self.at_work else 0.0
        return {"model": self.billed_as, "input_audio_seconds": self._seconds + to_tell}


def _now() -> float:
    return asyncio.get_running_loop().time()
