"""What goes wrong on demand: at the handshake, in the middle, in a message."""

from __future__ import annotations

import asyncio
import json
import math

import pytest
import websockets

from tests.emulators.wire import Wire, connected, of, types
from voxengine.errors import ConfigurationError
from voxengine.testing.emulators.faults import (
    Drop,
    Duplicate,
    ErrorOnce,
    Expire,
    FaultLike,
    FaultPlan,
    Flap,
    Lag,
    Late,
    LateAudio,
    Malformed,
    OutOfOrder,
    Oversized,
    Refuse,
    Slow,
    Stall,
    UnknownEvent,
    fault_plan,
)
from voxengine.testing.emulators.openai import OpenAIEmulator

LONG = "a rather long thing to repeat word for word"


async def talk(wire: Wire, text: str = LONG) -> None:
    await wire.text(text)
    await wire.send("response.create")


@pytest.mark.parametrize(
    ("code", "status", "vendors"),
    [
        ("auth", 401, "invalid_api_key"),
        ("forbidden", 403, "forbidden"),
        ("not_found", 404, "model_not_found"),
        ("rate_limit", 429, "rate_limit_exceeded"),
        ("quota", 429, "insufficient_quota"),
        ("server_error", 500, "server_error"),
    ],
)
async def test_handshakes_are_refused_as_by_the_vendor(code, status, vendors):
    async with OpenAIEmulator(faults=[Refuse(code, connect=2, retry_after=7)]) as emulator:
        async with connected(emulator):
            pass
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with connected(emulator):
                pass
        response = refused.value.response
        assert response.status_code == status
        assert json.loads(response.body or b"")["error"]["code"] == vendors
        assert response.headers["Retry-After"] == "7"
        async with connected(emulator):
            pass
        assert len(emulator.sessions) == 2


async def test_a_connection_is_reset():
    async with OpenAIEmulator(faults="refuse") as emulator:
        with pytest.raises((OSError, websockets.InvalidMessage)):
            async with connected(emulator):
                pass
        async with connected(emulator):
            pass


async def test_a_closed_port_and_a_crash():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        port = emulator.port
        await emulator.refuse()
        with pytest.raises(ConnectionRefusedError):
            async with connected(emulator):
                pass
        await wire.text("still talking")
        await emulator.kill()
        with pytest.raises(websockets.ConnectionClosedError) as gone:
            await wire.recv()
        assert gone.value.rcvd is None
        assert emulator.sessions[0].closed
        await emulator.start()
        assert emulator.port == port
        async with connected(emulator):
            pass


async def test_a_crash_in_the_middle_of_a_response_leaves_nothing():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        await talk(wire)
        await wire.get("response.output_audio.delta")
        loop = asyncio.get_running_loop()
        began = loop.time()
        await emulator.kill()
        assert loop.time() == began  # it did not wait for the response's end
        with pytest.raises(websockets.ConnectionClosedError):
            await wire.until("response.done")
        assert not emulator.sessions[0].tasks


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 1013, 4000])
async def test_a_close_with_any_code_at_once(code):
    faults = [Drop(connect=1, close_code=code, reason="bye")]
    async with OpenAIEmulator(faults=faults) as emulator, connected(emulator) as wire:
        await wire.rest()
        assert (wire.socket.close_code, wire.socket.close_reason) == (code, "bye")


async def test_a_close_after_so_many_pieces_of_audio():
    faults = [Drop(close_code=1011, response=2, after_chunks=3)]
    async with OpenAIEmulator(faults=faults) as emulator, connected(emulator) as wire:
        await wire.text(LONG)
        await wire.respond()
        await wire.send("response.create")
        seen = await wire.rest()
        assert len(of(seen, "response.output_audio.delta")) == 3
        assert wire.socket.close_code == 1011


async def test_a_cut_after_so_many_seconds():
    async with OpenAIEmulator(faults=["drop:after_s=2.5"]) as emulator, connected(emulator) as wire:
        began = asyncio.get_running_loop().time()
        await wire.rest()
        assert asyncio.get_running_loop().time() - began == pytest.approx(2.5)
        assert wire.socket.close_code == 1006


async def test_a_session_expires_early():
    async with OpenAIEmulator(faults=[Expire(after_s=30)]) as emulator, connected(emulator) as wire:
        seen = await wire.rest()
        assert seen[-1]["error"]["code"] == "session_expired"
        assert wire.socket.close_code == 1001


async def test_flapping():
    async with OpenAIEmulator(faults=[Flap(times=2)]) as emulator:
        for _ in range(2):
            async with connected(emulator, greeting=False) as wire:
                assert await wire.rest() == []
        async with connected(emulator) as wire:
            await wire.update(instructions="all is well")
        assert len(emulator.sessions) == 3


async def test_a_stall_for_ever():
    faults = [Stall(after_chunks=2)]
    async with OpenAIEmulator(faults=faults) as emulator, connected(emulator) as wire:
        await talk(wire)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(600):
                await wire.until("response.done")
        assert len(of(wire.log, "response.output_audio.delta")) == 2
        await wire.send("response.create")
        assert not emulator.sessions[0].closed


async def test_a_stall_that_ends_gives_all_that_was_due():
    async with (
        OpenAIEmulator(faults=[Stall(5.0, after_chunks=2)]) as emulator,
        connected(emulator) as wire,
    ):
        await talk(wire)
        await wire.until("response.output_audio.delta")
        await wire.until("response.output_audio.delta")
        loop = asyncio.get_running_loop()
        began = loop.time()
        seen = await wire.until("response.done")
        assert loop.time() - began == pytest.approx(5.0)
        assert seen[-1]["response"]["status"] == "completed"


async def test_a_lag_delays_everything_in_order():
    async with (
        OpenAIEmulator(faults=[Lag(2.0, connect=1)]) as emulator,
        connected(emulator) as wire,
    ):
        await asyncio.sleep(0.1)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await wire.update(instructions="slowly")
        assert loop.time() - began == pytest.approx(2.0)
        await wire.text("hello")
        seen = await wire.respond()
        assert types(seen)[0] == "response.created"
        assert types(seen)[-1] == "response.done"


async def test_a_slow_vendor():
    async with (
        OpenAIEmulator(faults=[Slow(10.0, response=2)], latency_ms=0) as emulator,
        connected(emulator) as wire,
    ):
        await wire.text("hello")
        took = []
        for _ in range(2):
            began = asyncio.get_running_loop().time()
            await wire.respond()
            took.append(asyncio.get_running_loop().time() - began)
        assert took[1] == pytest.approx(took[0] * 10)


async def test_errors_on_their_own_and_in_a_response():
    faults = [
        ErrorOnce(code="rate_limit_exceeded", after_s=1.0),
        ErrorOnce(code="server_error", response=1, after_chunks=1),
    ]
    async with OpenAIEmulator(faults=faults) as emulator, connected(emulator) as wire:
        error = (await wire.get("error"))["error"]
        assert (error["type"], error["code"]) == ("server_error", "rate_limit_exceeded")
        await wire.text(LONG)
        response = (await wire.respond())[-1]["response"]
        assert response["status"] == "failed"
        assert response["status_details"]["error"]["code"] == "server_error"


async def test_what_a_client_does_not_expect():
    faults: list[FaultLike] = [UnknownEvent(connect=1), Malformed(connect=1), Oversized(connect=1)]
    async with OpenAIEmulator(faults=faults) as emulator, connected(emulator) as wire:
        assert json.loads(await wire.socket.recv())["type"] == "response.mood.updated"
        with pytest.raises(json.JSONDecodeError):
            json.loads(await wire.socket.recv())
        large = await wire.socket.recv()
        assert len(large) >= 20 * 1024 * 1024
        assert json.loads(large)["type"] == "conversation.item.retrieved"
        await wire.update(instructions="go on")


async def test_audio_after_the_cancel():
    async with OpenAIEmulator(faults=[LateAudio()]) as emulator, connected(emulator) as wire:
        await talk(wire)
        await wire.get("response.output_audio.delta")
        await wire.send("response.cancel")
        done = await wire.get("response.done")
        late = await wire.recv()
        assert late["type"] == "response.output_audio.delta"
        assert late["response_id"] == done["response"]["id"]
        await wire.update(instructions="go on")


async def test_events_late_twice_and_out_of_order():
    name = "conversation.item.input_audio_transcription.completed"
    faults: list[FaultLike] = [
        Late(name, by=60.0),
        Duplicate("response.done"),
        OutOfOrder("response.created", behind=2),
    ]
    async with OpenAIEmulator(faults=faults) as emulator, connected(emulator) as wire:
        await wire.update(audio={"input": {"transcription": {"model": "whisper-1"}}})
        await wire.say("hello")
        seen = await wire.until(name)
        done = of(seen, "response.done")
        assert [e["event_id"] for e in done] == [done[0]["event_id"]] * 2
        kinds = [e["type"] for e in seen]
        assert kinds.index("rate_limits.updated") < kinds.index("response.created")
        assert kinds[-1] == name
        assert kinds.index("response.done") < len(kinds) - 1


async def test_a_plan_counts_over_emulators_that_share_it():
    plan = FaultPlan([Flap(connect=2)])
    async with OpenAIEmulator(faults=plan) as one, OpenAIEmulator(faults=plan) as two:
        async with connected(one):
            pass
        async with connected(two, greeting=False) as wire:
            assert await wire.rest() == []


def test_faults_are_written_in_three_ways():
    same = Expire(after_s=3.0)
    assert fault_plan("expire:after_s=3.0").faults == (same,)
    assert fault_plan([{"fault": "expire", "after_s": 3.0}, same]).faults == (same, same)
    assert fault_plan(Stall()).faults == (Stall(math.inf),)
    assert fault_plan(None).faults == ()
    plan = FaultPlan()
    assert fault_plan(plan) is plan
    with pytest.raises(ConfigurationError, match="lag"):
        fault_plan("gremlin")
    with pytest.raises(ConfigurationError, match="n_bytes"):
        fault_plan("oversized:size=1")
