"""Conversations made up at random: whatever happens in whatever order, some things always hold."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from tests.cascade.fakes import Call, FakeBrain, noise, silence
from tests.cascade.fakes import call as tool_call
from voxengine import events as ev
from voxengine.errors import MessageError, ProviderError
from voxengine.providers.cascade.parts import Message

ENDS = (ev.ResponseCompleted, ev.ResponseCancelled, ev.ResponseError)


def made_up(rng: random.Random) -> FakeBrain:
    """Answers of any length, at any pace, with calls and failures."""

    def answer(messages: list[Message]) -> list[Any]:
        steps: list[Any] = []
        for n in range(rng.randrange(4)):
            steps.append(rng.choice([0.0, 0.05, 0.5, 3.0]))
            steps.append(
                rng.choice([f"Sentence {n}. ", "Half a", " \n", "\N{GRINNING FACE} ", "Yes! No? "])
            )
        if rng.random() < 0.3:
            steps.append(tool_call("move", call_id=rng.choice("abc")))
        if rng.random() < 0.1:
            steps.append(rng.choice([ValueError("x"), ProviderError("y", code="refused"), 60.0]))
        return steps

    return FakeBrain(answer)


async def act(call: Call, rng: random.Random) -> None:
    """One thing that a caller or an application may do."""
    provider = call.provider
    words = " ".join(
        rng.choice(["one", "two", "three,", "four", "five"]) for _ in range(rng.randrange(1, 6))
    )
    pause = rng.choice([0, 60, 150, 400, 800, 3000])
    what = rng.randrange(13)
    if what < 5:
        await call.send(call.voice.say(words) + silence(pause), chunk_ms=rng.choice([10, 20, 100]))
    elif what == 5:
        await call.send(noise(rng.choice([20, 100, 300])) + silence(pause))
    elif what == 6:
        await asyncio.sleep(rng.choice([0.0, 0.1, 1.0, 20.0]))
    elif what == 7:
        await provider.send_text(words)
    elif what == 8:
        await provider.interrupt()
    elif what == 9:
        await provider.create_response()
    elif what == 10:
        await provider.generate_tts(words)
    elif what == 11:
        await rng.choice([provider.commit_audio, provider.clear_audio])()
    else:
        items = call.all(ev.TextOutput)
        if items:
            await provider.truncate_item(rng.choice(items).item_id, 100, "Sen")


async def converse(seed: int) -> Call:
    rng = random.Random(seed)
    manual = "none" if rng.random() < 0.2 else None
    call = Call(
        brain=made_up(rng),
        stt_delay=rng.choice([0.0, 0.1, 0.7]),
        tools=[{"name": "move"}],
        turn_detection=manual,
        metadata={"ahead_s": 2, "tool_timeout": 5, "segment_s": 5},
    )
    call.tts.delay = rng.choice([0.0, 0.02, 0.4])
    call.tts.bad = rng.choice(["\0", "No"])

    async def tool(call_id: str) -> None:
        await asyncio.sleep(rng.choice([0.0, 0.1, 1.0]))
        if call.provider.is_connected:
            await call.provider.send_tool_result(call_id, "{}")

    tools: list[asyncio.Task[None]] = []
    call.provider.on_event(
        "function_invoked",
        lambda e: tools.append(asyncio.get_running_loop().create_task(tool(e.call_id))),
    )
    async with call:
        for _ in range(rng.randrange(3, 12)):
            try:
                await act(call, rng)
            except MessageError as refused:
                if refused.code not in ("response_active", "input_audio_buffer_commit_empty"):
                    raise
        if rng.random() < 0.7:
            await asyncio.sleep(120)
            assert call.provider._dialogue is not None
            assert not call.provider._dialogue.responding
    await asyncio.gather(*tools)
    return call


@pytest.mark.parametrize("seed", range(80))
async def test_what_always_holds(seed: int) -> None:
    call = await converse(seed)
    active: str | None = None
    ended: set[str] = set()
    partials: dict[str | None, str] = {}
    open_items: dict[str | None, bool] = {}
    positions: dict[str | None, float] = {}
    audio: dict[str | None, float] = {}
    for _, event in call.told:
        if type(event) is ev.ResponseStarted:
            assert active is None
            active = event.response_id
        elif type(event) in ENDS:
            assert event.response_id == active
            ended.add(event.response_id)
            active = None
        elif type(event) in (
            ev.TextOutput,
            ev.AudioOutputChunk,
            ev.FunctionInvoked,
            ev.TimingStage,
        ):
            assert event.response_id == active
        if type(event) is ev.TextOutput:
            assert open_items.get(event.item_id, True), "text after the end of its item"
            open_items[event.item_id] = event.is_partial
            if event.audio_end_ms is not None:
                assert event.audio_start_ms == positions.get(event.item_id, 0.0)
                positions[event.item_id] = event.audio_end_ms
        if type(event) is ev.AudioOutputChunk:
            audio[event.item_id] = audio.get(event.item_id, 0.0) + len(event.audio_data) / 48
            assert audio[event.item_id] <= positions[event.item_id] + 0.01
        if type(event) is ev.TranscriptPartial:
            assert event.text.startswith(partials.get(event.item_id, ""))
            partials[event.item_id] = event.text
        if type(event) is ev.ResponseCompleted and event.status == "completed":
            assert not any(
                open_items[i] for i in open_items if i in _items_of(call, event.response_id)
            )
    assert active is None
    assert call.names()[-1] == "connection_closed"
    assert call.brain.closed == len(call.brain.asked)
    assert not [e for e in call.all(ev.ErrorGeneral) if "x" not in (e.error or "")]


def _items_of(call: Call, response_id: str | None) -> set[str]:
    return {e.item_id for e in call.all(ev.TextOutput) if e.response_id == response_id}
