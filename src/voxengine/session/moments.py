"""Waiting for a good moment in the conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

from voxengine.errors import ConfigurationError, SessionClosedError
from voxengine.session.core import SessionCore

__all__ = ["Moments", "When", "check_when"]

#: now; when the response that is due or under way has come whole (it may still play); when all of it was heard as
#: well, and nobody speaks.
When: TypeAlias = Literal["now", "after_response", "after_turn"]


def check_when(when: str) -> None:
    """Raise a `ConfigurationError` if there is no such moment."""
    if when not in get_args(When):
        raise ConfigurationError(f"when is one of {', '.join(get_args(When))}, not {when!r}")


def _no_response(core: SessionCore) -> bool:
    return core.replies.open is None and core.replies.pending is None


def _response_over(core: SessionCore) -> bool:
    return _no_response(core) and not core.user_speaking


_FITS: dict[str, Callable[[SessionCore], bool]] = {
    "now": lambda _: True,
    "no_response": _no_response,
    "after_response": _response_over,
    "after_turn": lambda core: _response_over(core) and core.quiet,
}


class Moments:
    """Those who wait. `look` has to be called whenever something has changed."""

    def __init__(self, core: SessionCore) -> None:
        self._core = core
        self._waiting: list[tuple[Callable[[SessionCore], bool], asyncio.Future[bool]]] = []

    async def wait(self, when: str, budget: float) -> bool:
        """Wait at most `budget` seconds; whether the moment came.

        Raises:
            SessionClosedError: the session ends.
        """
        fits = _FITS[when]
        if fits(self._core):
            return True
        entry = fits, asyncio.get_running_loop().create_future()
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(budget):
                await entry[1]
                return True
        except TimeoutError:
            return False
        finally:
            self._waiting.remove(entry)

    def look(self) -> None:
        """Wake those whose moment has come."""
        for fits, future in self._waiting:
            if not future.done() and fits(self._core):
                future.set_result(True)

    def close(self) -> None:
        """No moment will come any more."""
        for _, future in self._waiting:
            if not future.done():
                future.set_exception(SessionClosedError("the session was closed"))

    def __bool__(self) -> bool:
        return bool(self._waiting)
