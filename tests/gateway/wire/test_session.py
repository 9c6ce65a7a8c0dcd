"""A client's session from its first message to its last: coming back, silence, floods, a provider that is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.gateway.gateways import ANYONE
from tests.gateway.wire.talking import PCM24, Talker, talking
from tests.gateway.wire.test_input import WHISPER
from tests.testing.profiles import PROFILES
from voxengine.audio.level import silence


async def test_a_client_that_comes_back_goes_on_with_its_session():
    async with talking() as client:
        client.update(instructions="Be kind.", audio={"input": {"turn_detection": None}})
        await client.told("session.updated")
        client.close(1006, "")
        assert not client.call.attached

        call = await client.gateway.open_call(
            wire="websocket", model=None, grant=ANYONE, resume=client.call.session_id
        )
        assert call is client.call
        again = Talker(client.gateway, call)
        await again.open()
        before = client.all("session.updated")[0]["session"]
        assert again.events[0]["session"] == before
        assert call.attached
        again.append(silence(200, PCM24))
        again.say("input_audio_buffer.commit")
        await again.told("input_audio_buffer.committed")
        again.close()
        assert again.wrong == []
        assert len(client.events) == 2


async def test_a_client_that_is_replaced_is_hung_up_and_told_nothing_more():
    async with talking() as client:
        other = Talker(client.gateway, client.call)
        await other.open()
        assert client.closed == [(1000, "the session was resumed elsewhere")]
        n = len(client.events)
        await other.speak("hello")
        await other.told("response.done")
        assert len(client.events) == n
        assert client.call.attached
        other.close()


async def test_the_settings_are_kept_for_another_process():
    async with talking() as client:
        client.update(
            instructions="Be kind.",
            output_modalities=["text"],
            audio={"input": {"turn_detection": {"type": "server_vad", "create_response": False}}},
        )
        told = (await client.told("session.updated"))["session"]
        given = client.session.settings.as_given()
    async with talking(session=given) as client:
        begun = client.events[0]["session"]
        assert {**begun, "id": 0} == {**told, "id": 0}
        assert client.errors == []


async def test_a_client_of_whom_nothing_is_heard_is_hung_up():
    async with talking(gateway={"idle_timeout": 60}) as client:
        await asyncio.sleep(50)
        client.append(silence(20, PCM24))
        await asyncio.sleep(50)
        assert client.closed == []
        await asyncio.sleep(11)
        assert client.errors[-1]["code"] == "session_expired"
        assert client.closed[0][0] == 1000
        await client.call.ended.wait()


async def test_nobody_is_hung_up_while_something_is_said_to_them():
    setup = {"default_response": "word " * 400, "realtime_factor": 1}
    async with talking(setup, gateway={"idle_timeout": 30}) as client:
        await client.speak("hello")
        await client.told("response.done", seconds=300)
        assert client.closed == []


async def test_a_flood_is_refused_and_then_ends_the_call():
    async with talking(gateway={"messages_per_second": 10}) as client:
        for _ in range(25):
            client.append(silence(20, PCM24))
        assert [e["code"] for e in client.errors] == ["rate_limit_exceeded"]
        assert client.session.input.position_ms == 20 * 20
        await asyncio.sleep(5)
        client.append(silence(20, PCM24))  # that was enough patience
        assert client.session.input.position_ms == 21 * 20
        for _ in range(60):
            client.append(silence(20, PCM24))
        await asyncio.sleep(0)
        await client.call.ended.wait()
        assert client.closed[0][0] == 1008


async def test_a_provider_that_is_lost_for_good_ends_the_call_with_an_error():
    settings = {"reconnect_timeout": 0.0}
    async with talking(settings=settings) as client:
        provider: Any = client.call.engine.provider
        provider.simulate_error("closed", "the vendor has gone")
        await client.call.ended.wait()
        assert client.errors[-1]["type"] == "server_error"
        assert "the vendor has gone" in client.errors[-1]["message"]
        assert client.closed[0][0] == 1011


async def test_the_apology_is_heard_before_the_call_ends():
    async with talking() as client:
        provider: Any = client.call.engine.provider
        provider.simulate_error("closed", "gone", retryable=False)
        began = asyncio.get_running_loop().time()
        await client.call.ended.wait()
        assert 4 < asyncio.get_running_loop().time() - began < 6
        assert len(client.all("response.output_audio.delta")) > 0
        assert [e["code"] for e in client.errors] == ["closed"]
        assert client.closed[0][0] == 1011


@pytest.mark.parametrize(("code", "told"), [(4003, 4003), (1006, 1011), (1012, 1011)])
async def test_the_providers_own_close_code_is_handed_on(code: int, told: int):
    async with talking(settings={"reconnect_timeout": 0.0}) as client:
        provider: Any = client.call.engine.provider
        provider._lose("closed", code, "no more", False)
        await client.call.ended.wait()
        assert client.closed[0][0] == told


async def test_a_provider_that_takes_over_is_used_in_its_own_way():
    async with talking() as client:
        client.update(audio={"input": WHISPER})
        await client.speak("hello")
        await client.told("response.done")
        other = client.call.engine.config.with_changes(
            metadata={"capabilities": PROFILES["finds no turns"]}
        )
        await client.call.engine.switch_provider("mock", other)
        await asyncio.sleep(3)
        assert client.session.input.plan.own_ear
        await client.speak("again")
        done = await client.told("response.done", 2)
        assert done["response"]["output"][0]["content"][0]["transcript"] == "You said: again"
        assert client.closed == []


async def test_the_call_that_ends_is_told_all_that_was_said_before():
    async with talking() as client:
        client.update(instructions="new")
        await client.told("session.updated")
        await client.call.end("enough", 1000)
        assert client.closed == [(1000, "enough")]
