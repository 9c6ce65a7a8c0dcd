"""Talking to a mock in a test."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from voxengine.audio.level import silence
from voxengine.audio.signal import speak
from voxengine.events import ProviderEvent
from voxengine.providers.mock import MockConfig, MockProvider

E = TypeVar("E", bound=ProviderEvent)


class Record:
    """All events of a mock, with the loop's time at which they came."""

    def __init__(self, provider: MockProvider) -> None:
        self.events: list[ProviderEvent] = []
        self.times: list[float] = []
        provider.on_event = self._take

    def _take(self, event: ProviderEvent) -> None:
        self.events.append(event)
        self.times.append(asyncio.get_running_loop().time())

    def of(self, kind: type[E]) -> list[E]:
        return [e for e in self.events if isinstance(e, kind)]

    def at(self, kind: type[ProviderEvent]) -> list[float]:
        return [t for e, t in zip(self.events, self.times, strict=True) if isinstance(e, kind)]

    @property
    def types(self) -> list[str]:
        return [str(e.type) for e in self.events]

    def clear(self) -> None:
        self.events.clear()
        self.times.clear()


async def connected(**settings: Any) -> tuple[MockProvider, Record]:
    """A mock that is connected, and its record from then on."""
    provider = MockProvider(MockConfig(**settings))
    record = Record(provider)
    await provider.connect()
    record.clear()
    return provider, record


async def say(provider: MockProvider, text: str, silence_ms: float = 700) -> None:
    """Speak to it, as a microphone would send it."""
    format = provider.get_audio_format()
    await stream(provider, speak(text, format) + silence(silence_ms, format))


async def stream(provider: MockProvider, audio: bytes) -> None:
    size = provider.get_audio_format().n_bytes(20)
    for i in range(0, len(audio), size):
        await provider.send_audio(audio[i : i + size])
        await asyncio.sleep(0.02)
