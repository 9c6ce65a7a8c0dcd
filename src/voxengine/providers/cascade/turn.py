"""A turn of the user, as the ears of a cascade have it in hand."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from voxengine.errors import ProviderError
from voxengine.providers.cascade.partials import StablePrefix

if TYPE_CHECKING:
    from voxengine.providers.cascade.parts import Samples

__all__ = ["Turn"]


class Turn(ABC):
    """What the user says until it is answered: perhaps with pauses, perhaps taken up again."""

    def __init__(self, item_id: str) -> None:
        self.item_id = item_id
        self.partials = StablePrefix()
        #: Milliseconds of speech in it.
        self.speech_ms = 0.0
        #: The turn was declared over, and may still be taken up again.
        self.decided = False
        #: No words were found in it.
        self.empty = False
        #: The silence that ended it, in ms.
        self.pause_ms = 0.0
        #: The application was told that it began.
        self.announced = False
        self.language: str | None = None

    def add(self, frames: Iterable[Samples], probability: float) -> None:  # noqa: B027
        """Append audio, where it is the turn that keeps it."""

    async def catch_up(self, at_most: int) -> None:  # noqa: B027
        """Wait until no more than so many pieces of work on it are undone, where it has such."""

    @abstractmethod
    async def finished(self) -> None:
        """Wait until the words that were asked for are there."""

    @abstractmethod
    def decode(self) -> None:
        """Ask for the words of what there is, as if the turn were over."""

    @abstractmethod
    def discard(self) -> None:
        """The user goes on: the words of before are not yet all of the turn."""

    def reopen(self) -> None:
        """The turn was declared over, and goes on."""
        self.decided = self.empty = False
        self.discard()

    @property
    @abstractmethod
    def ready(self) -> bool:
        """Whether the words were asked for and are there, or cannot be had."""

    @abstractmethod
    def result(self) -> tuple[str, ProviderError | None]:
        """The text of the whole turn, and why a part of it is missing. Only when `ready`."""

    @property
    def text(self) -> str | None:
        """The text of the whole turn, None as long as it is not known."""
        return self.result()[0] if self.ready else None

    @abstractmethod
    def close(self) -> list[asyncio.Task[Any]]:
        """Stop all work; returns the tasks that are on their way out."""
