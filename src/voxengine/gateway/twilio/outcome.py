"""A call whose provider is lost for good: the apology is heard, then it is hung up."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from voxengine.events import (
    ConnectionLost,
    ErrorGeneral,
    EventType,
    ProviderEvent,
    StateChanged,
)
from voxengine.gateway.call import Call

__all__ = ["Watch"]

#: Seconds for which an apology may be heard before the call ends.
APOLOGY = 15.0
#: Close code of a call that nobody is left to carry on.
PROVIDER_LOST = 1011


class Watch:
    """Looks at what goes wrong in one call, from its engine's events."""

    EVENTS = (EventType.CONNECTION_LOST, EventType.ERROR_GENERAL, EventType.STATE_CHANGED)

    def __init__(self, call: Call) -> None:
        self._call = call
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def on_event(self, event: ProviderEvent) -> None:
        """One of `EVENTS`."""
        match event:
            case StateChanged():
                self._changed.set()
            case ConnectionLost():
                self._start(event.error or "the connection to the provider was lost", sure=False)
            case ErrorGeneral(recoverable=False, code=code) if code != "handler":
                self._start(event.error or "the provider has failed", sure=True)

    def close(self) -> None:
        """Look no more. An end that has begun goes on."""
        if self._task is not None and not self._call.ending:
            self._task.cancel()

    def _start(self, words: str, *, sure: bool) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(
                self._leave(words, sure), name=f"voxengine-{self._call.id}-lost"
            )

    async def _leave(self, words: str, sure: bool) -> None:
        await asyncio.sleep(0)  # the engine says in the same breath whether it restores it
        engine = self._call.engine
        if not sure and (engine.is_connected() or engine.is_reconnecting()):
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(APOLOGY):
                while engine.state == "speaking":
                    self._changed.clear()
                    await self._changed.wait()
        await self._call.end(words, PROVIDER_LOST)
