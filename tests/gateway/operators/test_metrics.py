"""What Prometheus is told, and who may ask."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import websockets
from prometheus_client.parser import text_string_to_metric_families

from tests.gateway.auth.conftest import Doors
from tests.gateway.gateways import ANYONE, running, until
from tests.gateway.operators.house import code_of, house
from voxengine.events import AudioDropped, MetricsUpdated, UsageUpdated
from voxengine.gateway.gateway import Gateway
from voxengine.gateway.observing.figures import MAX_CODES
from voxengine.gateway.refusal import Refused
from voxengine.providers.mock import MockProvider


def samples(text: str) -> dict[str, float]:
    """Every sample by its name and labels, as Prometheus' own reader finds them."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def figures(gateway: Gateway) -> dict[str, float]:
    return samples(gateway.observing.figures.text().decode())


async def test_a_call_is_counted_while_it_lives_and_when_it_ends() -> None:
    async with running() as gateway:
        call = await gateway.open_call(wire="websocket", model="play", grant=ANYONE)
        live = "voxengine_calls_live{provider=mock,route=play,wire=websocket}"
        assert figures(gateway)[live] == 1
        await call.engine.send_text("hello")
        await asyncio.sleep(5)
        await call.engine.send_text("and again")
        await asyncio.sleep(0.5)
        await call.engine.interrupt()
        await call.end()
        now = figures(gateway)
        assert live not in now
        total = "voxengine_calls_total{outcome=completed,provider=mock,route=play,wire=websocket}"
        assert now[total] == 1
        assert now["voxengine_first_audio_seconds_count{provider=mock}"] == 2
        assert now["voxengine_first_audio_seconds_sum{provider=mock}"] == 0.0
        stage = "voxengine_turn_stage_seconds_count{provider=mock,stage=first_token}"
        assert now[stage] == 2
        assert now["voxengine_responses_total{provider=mock,status=completed}"] >= 1
        assert now["voxengine_interruptions_total{provider=mock,reason=request}"] == 1
        assert now["voxengine_loop_lag_seconds{quantile=0.99}"] >= 0
        assert now["voxengine_store_up"] == 1
        assert now["voxengine_ready"] == 1


async def test_how_calls_end() -> None:
    async with running(resume_window=5.0) as gateway:
        for end in ("hang up", "abandon", "fail", "leave"):
            call = await gateway.open_call(wire="webrtc", model="mock/one", grant=ANYONE)
            match end:
                case "hang up":
                    await call.end()
                case "abandon":
                    await call.ended.wait()
                case "fail":
                    await call.end("the provider is lost", 1011)
                case "leave":
                    await call.leave()
        now = figures(gateway)
    for outcome in ("completed", "abandoned", "failed", "interrupted"):
        # A model that is no route has no series of its own: callers name as many as they like.
        name = f"voxengine_calls_total{{outcome={outcome},provider=mock,route=other,wire=webrtc}}"
        assert now[name] == 1, outcome


async def test_switches_cost_and_lost_audio() -> None:
    async with running() as gateway:
        call = await gateway.open_call(wire="websocket", model="play", grant=ANYONE)
        await call.engine.switch_provider("mock")
        await asyncio.sleep(1)
        publish = call.engine._bus.publish
        publish(AudioDropped(direction="input", audio_ms=1500, provider="mock"))
        publish(MetricsUpdated(first_audio_ms=450, first_audible_ms=520, provider="mock"))
        now = figures(gateway)
        assert now["voxengine_provider_switches_total{provider=mock,reason=request}"] == 1
        assert now["voxengine_audio_dropped_seconds_total{direction=input}"] == 1.5
        assert now["voxengine_first_audio_seconds_bucket{le=0.4,provider=mock}"] == 0
        assert now["voxengine_first_audio_seconds_bucket{le=0.5,provider=mock}"] == 1
        await call.end()


async def test_tools_and_their_failures() -> None:
    tools = [
        {"name": name, "function": f"tests.gateway.operators.test_metrics:{name}"}
        for name in ("broken", "fine")
    ]
    async with running({"routes": {"play": {"providers": ["mock"], "tools": tools}}}) as gateway:
        call = await gateway.open_call(wire="websocket", model="play", grant=ANYONE)
        mock = call.engine.provider
        assert isinstance(mock, MockProvider)
        for name in ("broken", "fine"):
            mock.emit_tool_call(name, call_id=f"call_{name}")
            await asyncio.sleep(5)
        now = figures(gateway)
        assert now["voxengine_tool_calls_total{provider=mock}"] == 2
        assert now["voxengine_tool_failures_total{code=raised,provider=mock}"] == 1
        await call.end()


async def broken() -> None:
    raise RuntimeError("no")


async def fine() -> str:
    return "well"


async def test_refusals_are_counted_by_code_and_only_so_many(doors: Doors, tmp_path: Path) -> None:
    async with house(tmp_path) as there:
        doors.key()
        there.gateway.gatekeeper.reload()
        async with there.client("vox_wrong_key") as http:
            for _ in range(2):
                assert code_of(await http.get("/v1/models"))[0] == 401
            socket = f"ws{there.url.removeprefix('http')}/v1/realtime?model=play"
            with pytest.raises(websockets.InvalidStatus):
                await websockets.connect(socket)
        assert figures(there.gateway)["voxengine_refused_total{code=invalid_api_key}"] == 3
        for number in range(2 * MAX_CODES):
            there.gateway.observing.refused(f"vendor_{number}")
        codes = [n for n in figures(there.gateway) if n.startswith("voxengine_refused_total")]
        assert len(codes) <= MAX_CODES + 1
        assert "voxengine_refused_total{code=other}" in codes


async def test_who_may_ask(doors: Doors, tmp_path: Path) -> None:
    async with house(tmp_path) as there:
        watcher, talker = doors.key(scopes=["observe"]), doors.key()
        async with there.client() as http:
            answer = await http.get("/metrics")
            assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert "voxengine_ready" in samples(answer.text)
            for header, value in (
                ("x-forwarded-for", "203.0.113.9"),
                ("origin", "https://evil.example"),
                ("host", "evil.example"),
            ):
                assert code_of(await http.get("/metrics", headers={header: value}))[0] == 401
        async with there.client(watcher) as http:
            assert (await http.get("/metrics")).status_code == 200
        async with there.client(talker) as http:
            assert code_of(await http.get("/metrics")) == (403, "insufficient_scope")


async def test_they_can_be_turned_off(doors: Doors, tmp_path: Path) -> None:
    async with house(tmp_path, metrics=False) as there, there.client() as http:
        assert (await http.get("/metrics")).status_code == 404


async def test_costs_are_counted_once_also_those_of_the_end() -> None:
    prices = {"far/*": {"input_text_tokens": 2.0}}
    used = UsageUpdated(provider="far", model="m", input_text_tokens=1_000_000)
    async with running({"routes": {"play": {"providers": ["mock"], "prices": prices}}}) as gateway:
        call = await gateway.open_call(wire="websocket", model="play", grant=ANYONE)
        for _ in range(2):
            call.engine.book(used)
            await until(lambda: call.engine.usage.settled)
        name = "voxengine_cost_usd_total{provider=far}"
        assert figures(gateway)[name] == 4.0
        call.engine.usage.add(used)  # reported too late to be told
        await call.end()
        assert figures(gateway)[name] == 6.0


async def test_one_that_was_refused_is_no_call() -> None:
    async with running() as gateway:
        with pytest.raises(Refused):
            await gateway.open_call(wire="websocket", model="nothing", grant=ANYONE)
        assert not [name for name in figures(gateway) if name.startswith("voxengine_calls_total")]
