"""A caller of the Live API: an emulator, a provider on it, and what was told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from voxengine.audio.level import silence
from voxengine.audio.signal import speak
from voxengine.events import ProviderEvent
from voxengine.providers.openai_live import OpenAILiveProvider
from voxengine.testing.emulators.openai_live import LiveEmulator

_E = TypeVar("_E", bound=ProviderEvent)

KEY = "sk-live-secret"


class Call:
    """A provider and the record of its events."""

    def __init__(self, provider: OpenAILiveProvider) -> None:
        self.provider = provider
        self.events: list[Any] = []
        self._came = asyncio.Event()
        provider.on_event = self._record

    def _record(self, event: ProviderEvent) -> None:
        self.events.append(event)
        self._came.set()

    def of(self, kind: type[_E]) -> list[_E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def wait(self, kind: type[_E], count: int = 1) -> _E:
        async with asyncio.timeout(60):
            while len(self.of(kind)) < count:
                self._came.clear()
                await self._came.wait()
        return self.of(kind)[count - 1]

    async def speak(self, words: str, *, then_ms: float = 1000.0) -> None:
        """Say something, at the pace at which it is said."""
        format = self.provider.get_audio_format()
        await self.stream((speak(words, format) if words else b"") + silence(then_ms, format))

    async def stream(self, audio: bytes) -> None:
        size = self.provider.get_audio_format().n_bytes(20)
        for at in range(0, len(audio), size):
            await self.provider.send_audio(audio[at : at + size])
            await asyncio.sleep(0.02)


@asynccontextmanager
async def emulated(*args: Any, **settings: Any) -> AsyncIterator[LiveEmulator]:
    """An emulator that has to have judged everything valid, in both directions."""
    async with LiveEmulator(*args, **settings) as emulator:
        yield emulator
    assert emulator.judge.violations == []


def made(emulator: LiveEmulator, **settings: Any) -> OpenAILiveProvider:
    values: dict[str, Any] = {"api_key": KEY, "endpoint": emulator.endpoint, **settings}
    return OpenAILiveProvider(values)


@asynccontextmanager
async def calling(emulator: LiveEmulator, **settings: Any) -> AsyncIterator[Call]:
    """A provider that is connected."""
    call = Call(made(emulator, **settings))
    try:
        await call.provider.connect()
        yield call
    finally:
        await call.provider.disconnect()


async def until(test: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not test():  # noqa: ASYNC110 - what is waited for is in the emulator, and tells nobody
            await asyncio.sleep(0.01)
