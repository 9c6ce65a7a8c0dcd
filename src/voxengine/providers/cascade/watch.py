"""Every wait for a part has a budget: a part that hangs is an error that says so, never a silence."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from typing import TypeVar

from voxengine.errors import ProviderError, VoiceEngineError

__all__ = ["as_provider_error", "watched", "within"]

_T = TypeVar("_T")

#: Seconds that a stream may take to close.
_CLOSING = 1.0


async def within(work: Awaitable[_T], seconds: float, what: str) -> _T:
    """The result of `work`.

    Raises:
        ProviderError: `timeout` when it took longer than `seconds`.
    """
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise _late(what, seconds) from None


async def watched(
    stream: AsyncIterator[_T], *, first: float, between: float, what: str
) -> AsyncGenerator[_T, None]:
    """The items of a stream, the first within `first` seconds and each other within `between` of being asked for.

    Closes the stream however it is left, if it is used with `contextlib.aclosing`.

    Raises:
        ProviderError: `timeout` when it took longer.
    """
    limit = first
    try:
        while True:
            try:
                async with asyncio.timeout(limit):
                    item = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise _late(what, limit) from None
            yield item
            limit = between
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            # A stream that cannot be closed in time, or at all, must not take the conversation with it.
            # (Not wait_for: in Python 3.11 that can swallow a cancellation.)
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_CLOSING):
                    await close()


def _late(what: str, seconds: float) -> ProviderError:
    return ProviderError(f"{what} took longer than {seconds:g} s", code="timeout", retryable=True)


def as_provider_error(failure: Exception, what: str) -> ProviderError:
    """The failure of a part as an error with a code: a `ProviderError` itself, anything else by its words."""
    if isinstance(failure, ProviderError):
        return failure
    words = str(failure) or type(failure).__name__
    code = "failed" if isinstance(failure, VoiceEngineError) else "internal"
    return ProviderError(f"{what} failed: {words}", code=code)
