"""What an outage may not do: let old audio be heard late, or let the audio that waits grow without a bound."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from typing import Any

import pytest

from tests.engine.caller import FORMAT, LATENCY, SCRIPT, Caller
from voxengine import VoiceEngine, register_provider
from voxengine import events as ev
from voxengine.audio.signal import speak, understand
from voxengine.providers.mock import FaultPlan, MockProvider, Refuse

#: Before the first sound that was told of, so much is replayed.
PRE_ROLL_MS = 800
FRAME_MS = 100
FRAME = FORMAT.n_bytes(FRAME_MS)


@pytest.fixture
def made() -> list[MockProvider]:
    """The mocks of another vendor, as they are made."""
    made: list[MockProvider] = []

    def make(config: Any) -> MockProvider:
        made.append(MockProvider(config))
        return made[-1]

    register_provider("backup", make)
    return made


@pytest.mark.parametrize("warm", [False, True])
async def test_after_an_outage_of_three_seconds_nothing_older_than_the_turn_is_sent(
    warm: bool, made: list[MockProvider]
) -> None:
    # Nobody is there for three seconds: the first is gone for good, the other takes so long to be connected.
    latency = {**LATENCY, "connect": 3000}
    metadata = {"latency_ms": latency, "mock_responses": SCRIPT, "record": True}
    config = {
        "fallback": [{"provider": "backup", "metadata": metadata}],
        "failover_after": 10.0,
        "warm_standby": warm,
    }
    async with Caller(config=config) as call:
        call.say("are you there")
        await call.until(ev.ResponseCompleted)
        await call.quiet()
        await asyncio.sleep(3)
        call.say("one two three four five six seven eight")
        await asyncio.sleep(1)
        call.plan.add(Refuse("auth", times=0))
        call.lose()
        event = call.of(ev.ProviderSwitched) or [await call.until(ev.ProviderSwitched)]
        assert event[0].outage_ms == pytest.approx(0 if warm else 3000, abs=150)
        await call.quiet()
        (backup,) = made
        heard = bytes(backup.received_audio)
        assert understand(heard, FORMAT) == "one two three four five six seven eight"
        # Of what it got first the turn is all but the pre-roll.
        since = FORMAT.duration_ms(len(heard[: heard.find(speak("one", FORMAT)[:2000])]))
        assert since <= PRE_ROLL_MS
        assert event[0].audio_ms <= 1000 + event[0].outage_ms + PRE_ROLL_MS
        call.check_log()


async def test_an_outage_of_ten_minutes_does_not_fill_the_memory() -> None:
    plan = FaultPlan([Refuse("server_error", connect=n) for n in range(2, 2000)])
    frame = b"\x00\x20\x00\xe0" * (FRAME // 4)
    traced: list[int] = []
    async with VoiceEngine(
        provider="mock", metadata={"faults": plan, "record": False}, reconnect_timeout=700.0
    ) as engine:
        for _ in range(50):
            await engine.send_audio(frame)
            await asyncio.sleep(FRAME_MS / 1000)
        provider = engine.provider
        assert isinstance(provider, MockProvider)
        provider.simulate_error("closed")
        tracemalloc.start()
        try:
            for minute in range(10):
                for _ in range(60_000 // FRAME_MS):
                    # Frames of a microphone are each their own bytes.
                    await engine.send_audio(bytes(bytearray(frame)))
                    await asyncio.sleep(FRAME_MS / 1000)
                assert not engine.is_connected, minute
                gc.collect()
                traced.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
    held = FORMAT.n_bytes(30_000)
    assert traced[0] > held, "what is held is measured"
    assert max(traced) < traced[0] + held / 4
