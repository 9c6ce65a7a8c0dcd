"""An answer that is begun before it is certain that the turn is over, and of which nobody is told until then."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from voxengine.errors import ProviderError
from voxengine.providers.cascade.parts import BrainEvent, BrainUsage, Message, ToolSpec
from voxengine.providers.cascade.settings import CascadeSettings
from voxengine.providers.cascade.watch import as_provider_error, watched

__all__ = ["Draft", "Question"]

#: Pieces of the answer that are held until it is known whether they are wanted; then the brain has to wait.
_AHEAD = 512
_WORDS = re.compile(r"[^\W_]+")


class Question(msgspec.Struct, frozen=True):
    """What a brain is asked."""

    messages: Sequence[Message]
    tools: Sequence[ToolSpec]
    temperature: float | None

    def same_as(self, other: Question) -> bool:
        """Whether one answer serves for both: the user's words are the same but for case and signs."""
        return (
            self.tools == other.tools
            and self.temperature == other.temperature
            and [_plain(m) for m in self.messages] == [_plain(m) for m in other.messages]
        )


def _plain(message: Message) -> Message:
    if message.role != "user":
        return message
    words = " ".join(_WORDS.findall(message.text.casefold()))
    return msgspec.structs.replace(message, text=words)


class _End(msgspec.Struct, frozen=True):
    failure: ProviderError | None


class Draft:
    """The brain at work on an answer that may not be wanted.

    Args:
        answer: the brain's stream.
        wall: the time, as events tell it.
        used: takes what the brain says about its costs, which are there whether the answer is wanted or not.
    """

    def __init__(
        self,
        question: Question,
        answer: AsyncIterator[BrainEvent],
        settings: CascadeSettings,
        *,
        wall: Callable[[], float],
        used: Callable[[BrainUsage], None],
    ) -> None:
        self.question = question
        #: When it was begun, and when the first word or call was there.
        self.begun_at = wall()
        self.first_at: float | None = None
        self._answer = answer
        self._settings = settings
        self._wall = wall
        self._used = used
        self._queue: asyncio.Queue[BrainEvent | _End] = asyncio.Queue(_AHEAD)
        self.failed = False
        self.task = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        failure: ProviderError | None = None
        settings = self._settings
        try:
            stream = watched(
                self._answer,
                first=settings.first_token_timeout,
                between=settings.token_timeout,
                what="the brain",
            )
            async with contextlib.aclosing(stream) as answer:
                async for event in answer:
                    if isinstance(event, BrainUsage):
                        self._used(event)
                        continue
                    if self.first_at is None:
                        self.first_at = self._wall()
                    await self._queue.put(event)
        except Exception as error:
            failure = as_provider_error(error, "the brain")
            self.failed = True
        await self._queue.put(_End(failure))

    async def events(self) -> AsyncIterator[BrainEvent]:
        """The answer from its beginning, once.

        Raises:
            ProviderError: the brain failed.
        """
        while not isinstance(event := await self._queue.get(), _End):
            yield event
        if event.failure is not None:
            raise event.failure
