"""What stands for the part of a conversation that is too long to be told: a summary, by whoever can write one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from voxengine.conversation.items import Item

__all__ = ["Summarise", "Summariser"]

#: A function that does what a `Summariser` does.
Summarise: TypeAlias = Callable[[Sequence[Item]], Awaitable[str]]


@runtime_checkable
class Summariser(Protocol):
    """Writes summaries."""

    async def summarise(self, items: Sequence[Item]) -> str:
        """What of these items has to be known to go on with the conversation.

        The first item may be the summary of what was before. Whatever is raised means that there will be none.
        """
