"""A turn of the user whose words come from a recogniser that is kept open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from voxengine.errors import ProviderError
from voxengine.providers.cascade.turn import Turn

__all__ = ["StreamedTurn"]


class StreamedTurn(Turn):
    """The words of one turn, as they come.

    Args:
        finalize: asks the recogniser for the words of all that it was fed; `answered` is called when they are there.
    """

    def __init__(self, item_id: str, finalize: Callable[[StreamedTurn], None]) -> None:
        super().__init__(item_id)
        self._finalize = finalize
        #: Words that stay, whatever is heard once more; then those that the stream has given for good; then its guess.
        self._kept: list[str] = []
        self._finals: list[str] = []
        self._guess = ""
        #: Words that the partials have closed of what is kept.
        self._kept_words = 0
        #: Where in the finals the recogniser's own turn began.
        self._own_from = 0
        self._asked = 0
        self._wanted = False
        self._failure: ProviderError | None = None
        self._quiet = asyncio.Event()
        self._quiet.set()
        #: Stretches of speech in it.
        self.stretches = 0

    # -- words

    def guess(self, text: str) -> str | None:
        """A guess at what follows the finals; returns the partial text if that has become longer."""
        self._guess = text
        return self.partials.update(text)

    def final(self, text: str, language: str | None) -> str | None:
        """Further words; returns the partial text if that has become longer."""
        self._guess = ""
        self.language = language or self.language
        if not text.strip():
            return None
        self._finals.append(text.strip())
        return self.partials.close(text)

    def own_end(self, text: str, language: str | None) -> None:
        """The recogniser has ended a turn of its own: these are all of its words."""
        had_finals = len(self._finals) > self._own_from
        del self._finals[self._own_from :]
        self._guess = ""
        self.language = language or self.language
        if text.strip():
            self._finals.append(text.strip())
            if not had_finals:
                self.partials.close(text)
        self._own_from = len(self._finals)

    def words_with(self, text: str) -> str:
        """The whole turn, if these are the words of the recogniser's own turn."""
        return _joined([*self._kept, *self._finals[: self._own_from], text])

    def keep(self) -> None:
        """What was said so far is not heard again."""
        self._kept += self._finals
        self._finals.clear()
        self._own_from = 0
        self._kept_words = self.partials.closed

    @property
    def nothing_new(self) -> bool:
        """Whether it had words, and none have come since these were kept."""
        return bool(self._kept) and not self._finals and not self._guess

    def rewind(self) -> None:
        """What was not kept is heard once more."""
        self._finals.clear()
        self._own_from = 0
        self._guess = ""
        self.partials.rewind(self._kept_words)

    def settle(self) -> None:
        """What is known now has to do."""
        if self._guess:
            self.final(self._guess, None)
        self.keep()

    def fail(self, failure: ProviderError) -> None:
        """No more words come of what was said so far."""
        self.settle()
        self._failure = failure
        self._asked = 0
        self._quiet.set()

    def end(self) -> None:
        """The words are all there, without having been asked for."""
        self._wanted = True

    def answered(self) -> None:
        """What was asked for is there."""
        self._asked -= 1
        if not self._asked:
            self._quiet.set()

    # -- as every turn

    def decode(self) -> None:
        """Ask for the words of what there is."""
        if self._wanted:
            return
        self._wanted = True
        self._asked += 1
        self._quiet.clear()
        self._finalize(self)

    def discard(self) -> None:
        """The user goes on."""
        self._wanted = False

    async def finished(self) -> None:
        """Wait until the words that were asked for are there, or cannot be had."""
        await self._quiet.wait()

    @property
    def ready(self) -> bool:
        """Whether the words were asked for and are there, or cannot be had."""
        return self._wanted and not self._asked

    def result(self) -> tuple[str, ProviderError | None]:
        """The text of the whole turn, and why a part of it is missing."""
        return _joined([*self._kept, *self._finals]), self._failure

    def close(self) -> list[asyncio.Task[Any]]:
        """Nobody waits for it any more."""
        self._quiet.set()
        return []


def _joined(texts: list[str]) -> str:
    return " ".join(t.strip() for t in texts if t.strip())
