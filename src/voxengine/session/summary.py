"""Makes a summariser from a setting, and writes summaries with a brain of a cascade."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from voxengine.conversation import Item, as_prompt
from voxengine.conversation.summary import Summarise, Summariser
from voxengine.events import UsageUpdated

if TYPE_CHECKING:
    from voxengine.providers.cascade.parts import Brain, BrainEvent

__all__ = ["BrainSummariser", "summariser_of"]

#: What the brain is told to do.
INSTRUCTIONS = (
    "You are given the earlier part of a phone conversation between a user and a voice assistant. Write what the "
    "assistant has to know to go on with it: who the user is, what they want, what was decided, what is still open, "
    "and every name, number, date and result of a tool that may be needed again. At most 150 words, as plain text, in "
    "the language of the conversation. Do not answer the user, and add nothing that was not said."
)
#: Seconds that a brain may take to close.
_CLOSING = 1.0


class BrainSummariser:
    """Has a brain write the summaries. What that used is told to `on_usage`."""

    def __init__(
        self, brain: Brain, session: str, on_usage: Callable[[UsageUpdated], None]
    ) -> None:
        self._brain = brain
        self._session = session
        self._on_usage = on_usage
        self._loaded = False

    async def summarise(self, items: Sequence[Item]) -> str:
        """A summary of these items.

        Raises:
            VoiceEngineError: the brain failed.
        """
        from voxengine.providers.cascade.parts import BrainText, BrainUsage, Message

        if not self._loaded:
            await self._brain.load()
            self._loaded = True
        asked = [Message("system", INSTRUCTIONS), Message("user", as_prompt(items))]
        words = []
        stream = self._brain.reply(asked, (), session=self._session)
        async with _closed(stream):
            async for event in stream:
                if isinstance(event, BrainText):
                    words.append(event.text)
                elif isinstance(event, BrainUsage):
                    self._on_usage(
                        UsageUpdated(
                            provider=self._brain.name,
                            model=event.model,
                            input_text_tokens=event.input_tokens,
                            cached_text_tokens=event.cached_tokens,
                            output_text_tokens=event.output_tokens,
                        )
                    )
        return "".join(words)

    async def close(self) -> None:
        """Let go of what the brain holds on this loop. It can be used again."""
        close = getattr(self._brain, "close", None)
        if close is not None and self._loaded:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_CLOSING):
                    await close()


class _Function:
    """A function as a summariser."""

    def __init__(self, function: Summarise) -> None:
        self._function = function

    async def summarise(self, items: Sequence[Item]) -> str:
        return await self._function(items)


def summariser_of(
    setting: str | Mapping[str, Any] | Summariser | Summarise,
    session: str,
    on_usage: Callable[[UsageUpdated], None],
) -> Summariser:
    """What the setting `history_summary` stands for: a brain by name, a function, or an object of the application.

    Raises:
        ConfigurationError: there is no such brain, or an option of it is unknown.
        MissingDependencyError: what it is made of is not installed.
    """
    if isinstance(setting, (str, Mapping)):
        from voxengine.providers.cascade.registry import create_part

        given: Mapping[str, Any] = {"brain": setting} if isinstance(setting, str) else setting
        spec = "/".join(filter(None, (given["brain"], given.get("model"))))
        brain = create_part("brain", spec, given.get("options"))
        return BrainSummariser(brain, f"summary-{session}", on_usage)
    return setting if isinstance(setting, Summariser) else _Function(setting)


@contextlib.asynccontextmanager
async def _closed(stream: AsyncIterator[BrainEvent]) -> AsyncIterator[None]:
    """Close the stream at the end, if it can be closed."""
    try:
        yield
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()
