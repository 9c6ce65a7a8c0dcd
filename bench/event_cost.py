"""What an event costs on its way from the provider to a handler, above making it and calling the function directly."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

from voxengine import BaseProvider, Capabilities, VoiceEngine, register_provider
from voxengine.events import AudioOutputChunk, ResponseStarted

#: 20 ms of pcm16 at 24 kHz.
_AUDIO = bytes(range(240)) * 4


class _Silent(BaseProvider):
    """Does nothing by itself; the measurement emits for it."""

    capabilities = Capabilities(vad_events=True, auto_response=True)

    async def connect(self) -> None: ...

    async def disconnect(self) -> None: ...

    async def send_audio(self, audio_data: bytes) -> None: ...

    async def send_text(self, text: str, role: str = "user") -> None: ...

    async def interrupt(self) -> None: ...


def _make() -> AudioOutputChunk:
    return AudioOutputChunk(
        audio_data=_AUDIO,
        sample_rate=24000,
        item_id="i",
        response_id="r",
        timestamp=1.0,
        provider="silent",
    )


async def _rounds(rounds: int, events: int) -> list[dict[str, float]]:
    register_provider("silent", _Silent)
    engine = VoiceEngine(provider="silent")
    received = 0

    def handler(event: AudioOutputChunk) -> None:
        nonlocal received
        received += 1

    engine.on("audio_chunk", handler)
    results = []
    async with engine:
        provider = engine.provider
        assert provider is not None
        provider.emit(ResponseStarted(response_id="r"))
        for _ in range(10):
            provider.emit(
                _make().__class__(audio_data=b"\x00\x20" * 480, item_id="i", response_id="r")
            )
        for _ in range(rounds):
            made = _timed(events, lambda: _make())
            direct = _timed(events, lambda: handler(_make()))
            through = _timed(events, lambda: provider.emit(_make()))
            results.append({"make": made, "direct": direct, "through": through})
    assert received >= 2 * rounds * events, "every event reached the handler"
    return results


def _timed(n: int, call: Any) -> float:
    """Microseconds a call."""
    started = time.perf_counter()
    for _ in range(n):
        call()
    return (time.perf_counter() - started) / n * 1e6


def measure(quick: bool) -> dict[str, Any]:
    """Medians over interleaved rounds, in microseconds an event."""
    rounds = asyncio.run(_rounds(5 if quick else 15, 20_000))
    above_make = [r["through"] - r["make"] for r in rounds]
    above_call = [r["through"] - r["direct"] for r in rounds]
    return {
        "event_us": round(statistics.median(above_make), 2),
        "event_above_function_call_us": round(statistics.median(above_call), 2),
        "event_rounds": [{k: round(v, 3) for k, v in r.items()} for r in rounds],
    }
