"""A provider without an engine around it, and all that it tells."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.signal import speak, understand
from voxengine.providers.base import BaseProvider

__all__ = ["Line"]

_E = TypeVar("_E", bound=ev.ProviderEvent)


class Line:
    """A provider, and all that it tells."""

    def __init__(self, provider: BaseProvider) -> None:
        self.provider = provider
        self.events: list[Any] = []
        self._came = asyncio.Event()
        provider.on_event = self._note

    def _note(self, event: ev.ProviderEvent) -> None:
        self.events.append(event)
        self._came.set()

    def of(self, kind: type[_E]) -> list[_E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def wait(self, kind: type[_E], n: int = 1) -> _E:
        """The n-th event of a class."""
        async with asyncio.timeout(30):
            while len(self.of(kind)) < n:
                self._came.clear()
                await self._came.wait()
        return self.of(kind)[n - 1]

    async def say(self, words: str, *, pause_ms: float = 1000) -> None:
        """At the pace of speech."""
        format = self.provider.get_audio_format()
        audio = speak(words, format) + silence(pause_ms, format)
        size = format.n_bytes(20)
        for at in range(0, len(audio), size):
            await self.provider.send_audio(audio[at : at + size])
            await asyncio.sleep(0.02)

    def said(self) -> str:
        return "".join(event.text for event in self.of(ev.TextOutput))

    def sound(self) -> str:
        chunks = self.of(ev.AudioOutputChunk)
        audio = b"".join(chunk.audio_data for chunk in chunks)
        return (
            understand(audio, AudioFormat(chunks[0].encoding, chunks[0].sample_rate))
            if audio
            else ""
        )
