"""`TimedProvider`: a provider whose vendor finds the turns, and bills the length of a session without telling it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from voxengine import events as ev
from voxengine.config import ProviderConfig
from voxengine.providers.turns_provider import TurnsProvider

__all__ = ["TimedProvider"]


class TimedProvider(TurnsProvider):
    """Counts the seconds of the session itself: `input_audio_seconds` of `UsageUpdated`, the output having none.

    A vendor's provider calls `start_clock` when the session begins. They are told after each response, and when the
    session ends.
    """

    def __init__(self, config: Mapping[str, Any] | ProviderConfig | None = None) -> None:
        super().__init__(config)
        self._billed_to: float | None = None
        self._seconds = 0.0

    @property
    @abstractmethod
    def billed_as(self) -> str:
        """The vendor's name of what is billed."""

    def start_clock(self) -> None:
        """The session begins."""
        self._billed_to = self.now()

    def bill(self) -> None:
        """Tell the seconds that have passed since they were told."""
        if self._billed_to is None or not self.is_connected:
            return
        since, self._billed_to = self._billed_to, self.now()
        added = self._billed_to - since
        if added > 0:
            self._seconds += added
            used = ev.UsageUpdated(model=self.billed_as, input_audio_seconds=added, **self.meta())
            self.emit(used)

    def told(self, event: ev.ProviderEvent) -> None:
        """After a response, what the session has cost since is told."""
        if type(event) in (ev.ResponseCompleted, ev.ResponseCancelled):
            self.bill()

    def end_response(self, code: str | None) -> None:
        """Tell the end of what is being said, and what the session has cost since."""
        super().end_response(code)
        self.bill()

    async def get_usage(self) -> dict[str, Any] | None:
        """What is billed, and the seconds of the session so far."""
        to_tell = (
            self.now() - self._billed_to if self._billed_to is not None and self.at_work else 0.0
        )
        return {"model": self.billed_as, "input_audio_seconds": self._seconds + to_tell}
