"""Who can be called in these tests: emulated vendors as a chain, mocks, and a pipeline that hears words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.cascade.fakes import FakeBrain, FakeTurn, FakeVAD
from tests.engine.caller import LATENCY, SCRIPT
from tests.vendors.call import KEY, Call, vendor
from voxengine import VoiceEngineConfig
from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import speak, understand
from voxengine.conversation import Item
from voxengine.providers.cascade.parts import Speech, Transcription
from voxengine.testing.emulators.openai import OpenAIEmulator

if TYPE_CHECKING:
    from voxengine.providers.cascade.parts import Samples

HEARD = AudioFormat(sample_rate=16000)
SPOKEN = AudioFormat()


class SignalSTT:
    """Understands synthetic speech."""

    name = "signal"
    on_device = True

    async def load(self) -> None:
        return None

    async def transcribe(
        self, samples: Samples, *, session: str, partial: bool = False
    ) -> Transcription:
        pcm = (np.asarray(samples) * 32767).astype("<i2").tobytes()
        return Transcription(understand(pcm, HEARD), "en")


class SignalTTS:
    """Speaks it."""

    name = "signal"
    sample_rate = SPOKEN.sample_rate
    voices = ("one",)
    on_device = True

    async def load(self) -> None:
        return None

    async def synthesize(
        self, text: str, *, voice: str | None, speed: float, session: str
    ) -> AsyncIterator[Speech]:
        yield Speech(speak(text, SPOKEN))


def pipeline(brain: FakeBrain | None = None) -> dict[str, Any]:
    """The settings of a cascade (voice activity, recogniser, model, voice) that repeats what it was told."""
    return {
        "vad": FakeVAD(),
        "turn": FakeTurn(),
        "stt": SignalSTT(),
        "llm": brain or FakeBrain(lambda messages: [f"You said: {messages[-1].text}"]),
        "tts": SignalTTS(),
    }


@asynccontextmanager
async def chain(
    *names: str, faults: dict[str, Any] | None = None
) -> AsyncIterator[dict[str, OpenAIEmulator]]:
    """An emulator of each of these vendors, by name."""
    async with AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(vendor(name, faults=(faults or {}).get(name, ())))
            for name in names
        }


def entry(emulator: OpenAIEmulator, **settings: Any) -> dict[str, Any]:
    """An emulated vendor as a part of `fallback`."""
    return {
        "provider": emulator.dialect.name,
        "api_key": KEY,
        "metadata": emulator.metadata,
        **settings,
    }


def config_for(emulator: OpenAIEmulator, **settings: Any) -> VoiceEngineConfig:
    """The configuration that leads to it."""
    return VoiceEngineConfig(**{"apology": None, **entry(emulator), **settings})


def told(emulator: OpenAIEmulator, number: int = -1) -> list[tuple[str | None, str]]:
    """What one of its sessions knows of the conversation."""
    items = emulator.sessions[number].items
    return [(item.role, item.words) for item in items if item.type == "message"]


def mock_entry(name: str, **metadata: Any) -> dict[str, Any]:
    """A registered mock as a part of `fallback`."""
    settings = {"latency_ms": LATENCY, "mock_responses": SCRIPT, **metadata}
    return {"provider": name, "metadata": settings}


def tasks() -> set[str]:
    """The names of all that runs."""
    return {task.get_name() for task in asyncio.all_tasks()}


async def summarise(items: Sequence[Item]) -> str:
    """Sums up what `tell_a_lot` has said."""
    return f"the caller likes {items[0].text.split()[-1]}"


async def tell_a_lot(call: Call) -> None:
    """Say more than fits into 200 tokens."""
    for what in ("rain", "gardens", "bread", "trains", "cats", "tea"):
        await call.engine.send_text(
            f"please write down that of all things in this world I like {what}"
        )
        await call.quiet()
