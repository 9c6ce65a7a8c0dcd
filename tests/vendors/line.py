"""A provider without an engine around it, and all that it tells; before an emulator, or at the real vendor."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

import pytest

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.signal import speak, understand
from voxengine.conversation.items import Item
from voxengine.providers.base import BaseProvider
from voxengine.testing.emulators.vendor import VendorEmulator

__all__ = ["ANSWERS", "BEFORE", "LOOK", "Line", "Stand", "live", "one_answer"]

_E = TypeVar("_E", bound=ev.ProviderEvent)
_EM = TypeVar("_EM", bound=VendorEmulator)
_P = TypeVar("_P", bound=BaseProvider)

#: What an emulated model answers: in two sentences, at length, with a tool.
ANSWERS: dict[str, Any] = {
    "good morning": "Good morning to you. How are you?",
    "tell me more": " ".join(f"word{n}" for n in range(10, 40)),
    "look it up": {"tool": {"name": "look", "arguments": {"what": "it"}}, "then": "found {output}"},
}
#: The tool that it calls.
LOOK = {"name": "look", "description": "Look up.", "parameters": {"type": "object"}}
#: What was said before; the last of it was interrupted.
BEFORE = [
    Item(id="1", role="user", text="My name is Ada.", status="completed"),
    Item(id="2", role="assistant", text="Hello Ada, how", status="incomplete"),
]


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


class Stand(Generic[_EM, _P]):
    """A vendor's emulator, and its provider before it."""

    def __init__(
        self,
        emulator: Callable[..., _EM],
        provider: Callable[[dict[str, Any]], _P],
        *,
        key: str,
        answers: dict[str, Any] = ANSWERS,
    ) -> None:
        self._emulator = emulator
        self._provider = provider
        self._key = key
        self._answers = answers

    def made(self, emulator: _EM, config: dict[str, Any] | None = None) -> _P:
        """A provider that finds this emulator. Of `config`, `metadata` is taken besides what says where it is."""
        own = {**(config or {})}
        metadata = {**emulator.metadata, **own.pop("metadata", {})}
        return self._provider({"api_key": self._key, "metadata": metadata, **own})

    @asynccontextmanager
    async def agent(
        self,
        config: dict[str, Any] | None = None,
        *,
        history: Sequence[Item] = (),
        **settings: Any,
    ) -> AsyncIterator[tuple[_EM, Line]]:
        """An emulator with these settings, and a provider that is connected to it and has broken no rule at the end."""
        async with self._emulator(self._answers, key=self._key, **settings) as emulator:
            line = Line(self.made(emulator, config))
            if history:
                await line.provider.add_conversation_history(history)
            await line.provider.connect()
            yield emulator, line
            await line.provider.disconnect()
            assert emulator.judge.violations == []


def live(*needed: str) -> list[pytest.MarkDecorator]:
    """The marks of a test at the real vendor, which needs these variables of the environment."""
    return [
        pytest.mark.live,
        pytest.mark.real_clock,
        pytest.mark.skipif(
            any(name not in os.environ for name in needed),
            reason=f"{' or '.join(needed)} is not set",
        ),
    ]


async def one_answer(provider: BaseProvider, words: str = "Say hello.") -> Line:
    """One short conversation with a real vendor, in which there must be all that belongs to one."""
    line = Line(provider)
    await provider.connect()
    await provider.send_text(words)
    await line.wait(ev.ResponseCompleted)
    await provider.disconnect()
    kinds = {type(event) for event in line.events}
    assert {ev.ResponseStarted, ev.TextOutput, ev.AudioOutputChunk, ev.UsageUpdated} <= kinds
    assert not kinds & {ev.ErrorGeneral, ev.ConnectionLost}
    return line
