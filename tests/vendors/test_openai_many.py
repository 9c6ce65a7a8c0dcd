"""Many calls at once in one process, on one emulator: all are answered, and nothing is left or grows."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc

import pytest

from tests.vendors.call import KEY, Call, vendor
from voxengine import VoiceEngine
from voxengine import events as ev
from voxengine.audio.signal import speak

FRAME_MS = 100
CALLS = 100
SECONDS = 15


async def turns(call: Call, number: int, seconds: float) -> int:
    """Hold a conversation for so long; how many turns it had."""
    loop = asyncio.get_running_loop()
    format = call.engine.config.input_format
    size = format.n_bytes(FRAME_MS)
    await asyncio.sleep(number % 10 * 0.37)  # not all in step
    end, said = loop.time() + seconds, 0
    while loop.time() < end:
        audio = speak(f"call {number} turn {said}", format) + bytes(format.n_bytes(700))
        said += 1
        for at in range(0, len(audio), size):
            await call.engine.send_audio(audio[at : at + size])
            await asyncio.sleep(FRAME_MS / 1000)
        await call.wait(ev.ResponseCompleted, said)
        await asyncio.sleep(2.5)
    return said


async def hold(calls: list[Call], seconds: float) -> list[int]:
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(turns(call, number, seconds)) for number, call in enumerate(calls)
        ]
    return [task.result() for task in tasks]


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.virtual_clock(max_real=200)
async def test_a_hundred_calls():
    async with vendor(judge=None, valid=False) as emulator:
        calls = [Call(emulator, microphone=False) for _ in range(CALLS)]
        await asyncio.gather(*(call.engine.connect() for call in calls))
        before = len(asyncio.all_tasks())
        counts = await hold(calls, SECONDS)
        assert len(asyncio.all_tasks()) == before
        for number, (call, count) in enumerate(zip(calls, counts, strict=True)):
            assert count >= 2
            assert call.log == [
                pair
                for turn in range(count)
                for pair in (
                    ("user", f"call {number} turn {turn}"),
                    ("assistant", f"You said: call {number} turn {turn}"),
                )
            ]
            assert call.of(ev.ErrorGeneral) == []
            assert call.of(ev.AudioDropped) == []
            call.check()
        await asyncio.gather(*(call.engine.disconnect() for call in calls))
        assert len(emulator.sessions) == CALLS
        assert all(session.refused == [] for session in emulator.sessions)


def engine_bytes() -> int:
    """What is held by what engines are made of."""
    gc.collect()
    rooms = ("session", "providers/openai", "providers", "net", "conversation", "events", "audio")
    files = ["*/voxengine/engine.py", *(f"*/voxengine/{room}/*" for room in rooms)]
    snapshot = tracemalloc.take_snapshot()
    kept = snapshot.filter_traces([tracemalloc.Filter(True, file) for file in files])
    return sum(trace.size for trace in kept.traces)


async def short_turns(engine: VoiceEngine, count: int) -> None:
    """Some turns, of which nothing is kept here."""
    format = engine.config.input_format
    audio = speak("good morning", format) + bytes(format.n_bytes(700))
    size = format.n_bytes(FRAME_MS)
    for _ in range(count):
        async with engine.events("response_completed") as answered:
            for at in range(0, len(audio), size):
                await engine.send_audio(audio[at : at + size])
                await asyncio.sleep(FRAME_MS / 1000)
            await anext(answered)
        await asyncio.sleep(2)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.virtual_clock(max_real=200)
async def test_a_long_call_holds_its_log_and_no_more():
    engines_n, turns_n = 10, 15
    async with vendor(judge=None, valid=False) as emulator:
        engines = [
            VoiceEngine(provider="openai", api_key=KEY, metadata=emulator.metadata)
            for _ in range(engines_n)
        ]
        tracemalloc.start()
        try:
            empty = engine_bytes()
            for engine in engines:
                await engine.connect()
            await asyncio.gather(*(short_turns(engine, 3) for engine in engines))
            few = engine_bytes()
            await asyncio.gather(*(short_turns(engine, turns_n) for engine in engines))
            many = engine_bytes()
        finally:
            tracemalloc.stop()
        for engine in engines:
            assert len(engine.conversation) == 2 * (3 + turns_n)
            await engine.disconnect()
        # An engine with its 800 ms of audio, and the two items of a turn.
        assert (few - empty) / engines_n < 300_000
        assert (many - few) / engines_n / turns_n < 9_000
