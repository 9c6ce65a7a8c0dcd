"""Opening calls, within limits; leaving them, coming back, ending them."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.gateways import ANYONE, Client, running
from voxengine.errors import ConfigurationError
from voxengine.gateway.auth import KeyFile
from voxengine.gateway.auth.keys import Key, new_key
from voxengine.gateway.call import Call
from voxengine.gateway.gateway import Gateway
from voxengine.gateway.grants import Grant
from voxengine.gateway.refusal import Refused


async def open_call(gateway: Gateway, model: str | None = "play", **options: Any) -> Call:
    options.setdefault("grant", ANYONE)
    return await gateway.open_call(wire="websocket", model=model, **options)


async def refused(gateway: Gateway, model: str | None = "play", **options: Any) -> Refused:
    with pytest.raises(Refused) as refusal:
        await open_call(gateway, model, **options)
    return refusal.value


async def said(call: Call) -> list[str]:
    """What was said so far, once it is quiet."""
    await asyncio.sleep(30)
    return [item.text for item in call.engine.conversation]


# -- a call


async def test_a_call_is_ready_when_it_is_there():
    async with running() as gateway:
        call = await open_call(gateway)

        assert call.engine.is_connected()
        assert call.id.startswith("call_")
        assert len(call.id) == 5 + 24
        assert call.session_id.startswith("sess_")
        assert len(call.session_id) == 5 + 32
        assert list(gateway.calls) == [call]
        assert gateway.calls.get(call.id) is call
        assert gateway.calls.by_session(call.session_id) is call
        assert gateway.calls.by_session(call.id) is None
        assert gateway.handler.get_connection(call.id) is call.engine
        assert call.session_id not in repr(call)


async def test_the_settings_of_the_call_go_over_those_of_the_route():
    route = {"providers": ["mock"], "instructions": "Be long.", "max_cost": 1.0}
    async with running({"routes": {"play": route}}) as gateway:
        call = await open_call(
            gateway, settings={"instructions": "Be short."}, grant=Grant(key_id="k", max_cost=0.1)
        )

        assert call.engine.config.instructions == "Be short."
        assert call.engine.config.max_cost == 0.1


async def test_ending_a_call_forgets_it():
    ended: list[Call] = []
    async with running() as gateway:
        call = await open_call(gateway)
        client = Client()
        call.attach(client)
        call.on_end(ended.append)

        await asyncio.gather(call.end("enough", 1000), call.end("again"))
        await call.end()

        assert client.closed == [(1000, "enough")]
        assert ended == [call]
        assert call.ended.is_set()
        assert not call.engine.is_connected()
        assert len(gateway.calls) == len(gateway.handler.connections) == 0
        stored = await gateway.store.get(call.id)
        assert stored is not None
        assert (stored.status, stored.reason, stored.key_id) == ("ended", "enough", "anyone")
        assert call.session_id not in repr(stored)


async def test_a_call_ends_with_its_conversation():
    async with running() as gateway:
        call = await open_call(gateway)
        client = Client()
        call.attach(client)

        await call.engine.disconnect("over")
        await asyncio.wait_for(call.ended.wait(), 1)

        assert len(gateway.calls) == 0
        assert [code for code, _ in client.closed] == [1000]


async def test_a_call_ends_at_the_limit_of_its_route():
    async with running({"routes": {"play": {"providers": ["mock"], "max_duration": 20}}}) as g:
        call = await open_call(g)
        call.attach(Client())

        await asyncio.wait_for(call.ended.wait(), 60)


async def test_a_failure_of_one_part_does_not_keep_the_rest_from_ending(
    caplog: pytest.LogCaptureFixture,
):
    async with running() as gateway:
        call = await open_call(gateway)

        class Broken:
            async def end(self) -> None:
                raise OSError("the disk is gone")

        call.recording = Broken()  # type: ignore[assignment]
        await call.end()

        assert call.ended.is_set()
        assert len(gateway.calls) == 0
        assert "the disk is gone" in caplog.text


# -- who is refused


async def test_no_such_route():
    async with running() as gateway:
        refusal = await refused(gateway, "nobody")

        assert (refusal.status, refusal.code) == (404, "model_not_found")
        assert len(gateway.calls) == 0


async def test_a_key_for_other_routes():
    grant = Grant(key_id="k", routes=("other",))
    async with running() as gateway:
        assert (await refused(gateway, grant=grant)).status == 403


async def test_as_many_calls_as_it_takes():
    async with running(max_calls=2) as gateway:
        first, _ = await open_call(gateway), await open_call(gateway)

        refusal = await refused(gateway)
        assert (refusal.status, refusal.code) == (503, "server_overloaded")
        assert int(refusal.headers["retry-after"]) >= 1
        assert gateway.not_ready() == ["full"]

        await first.end()
        await open_call(gateway)


async def test_calls_that_are_being_opened_count():
    slow = {"slow": {"provider": "mock", "metadata": {"latency_ms": {"connect": 5000}}}}
    routes = {"play": {"providers": ["slow"]}}
    async with running({"providers": slow, "routes": routes}, max_calls=3) as gateway:
        done = await asyncio.gather(*(open_call(gateway) for _ in range(5)), return_exceptions=True)

        assert sorted(type(each).__name__ for each in done) == ["Call"] * 3 + ["Refused"] * 2


@pytest.mark.real_clock
async def test_a_loop_that_is_late_takes_no_calls():
    async with running(max_loop_lag_ms=20) as gateway:
        await open_call(gateway)
        for _ in range(5):
            await asyncio.sleep(0.03)
            time.sleep(0.1)  # noqa: ASYNC251 - this is the fault
        await asyncio.sleep(0.03)

        refusal = await refused(gateway)
        assert (refusal.status, refusal.code) == (503, "server_overloaded")
        assert "busy" in gateway.not_ready()


async def test_the_limits_of_a_key(tmp_path: Path):
    hashed, _ = new_key("0123456789")
    with KeyFile(tmp_path / "voxengine-keys.json").changing() as keys:
        keys["desk"] = Key(id="0123456789", name="desk", hash=hashed, created_at=0.0, concurrency=1)
    grant = Grant(key_id="0123456789")
    async with running(folder=tmp_path) as gateway:
        call = await open_call(gateway, grant=grant)

        assert (await refused(gateway, grant=grant)).status == 429

        await call.end()
        again = await open_call(gateway, grant=grant)
        # One that could not be opened gives its place back.
        await again.end()
        assert (await refused(gateway, "custom", grant=grant)).status == 503
        await open_call(gateway, grant=grant)


FAULTS = [
    ("refuse", 502, "refused"),
    ("refuse:rate_limit", 503, "rate_limit"),
    ("refuse:auth", 502, "provider_auth"),
    ("refuse:timeout", 504, "provider_timeout"),
]


@pytest.mark.parametrize(("fault", "status", "code"), FAULTS)
async def test_a_provider_that_cannot_be_had(fault: str, status: int, code: str):
    broken = {"broken": {"provider": "mock", "metadata": {"faults": f"{fault}"}}}
    async with running({"providers": broken, "routes": {"play": {"providers": ["broken"]}}}) as g:
        refusal = await refused(g)

        assert (refusal.status, refusal.code) == (status, code)
        assert refusal.kind == "server_error"
        assert len(g.calls) == len(g.handler.connections) == 0


async def test_a_provider_that_never_answers():
    hung = {"hung": {"provider": "mock", "metadata": {"latency_ms": {"connect": 1e7}}}}
    async with running({"providers": hung, "routes": {"play": {"providers": ["hung"]}}}) as g:
        assert (await refused(g)).status == 504


async def test_the_next_provider_takes_the_call():
    broken = {"broken": {"provider": "mock", "metadata": {"faults": "refuse:times=0"}}}
    routes = {"play": {"providers": ["broken", "mock"]}}
    async with running({"providers": broken, "routes": routes}) as gateway:
        call = await open_call(gateway)

        assert call.engine.is_connected()
        assert not call.engine.config.metadata


async def test_a_client_that_vanishes_while_its_call_is_opened():
    slow = {"slow": {"provider": "mock", "metadata": {"latency_ms": {"connect": 5000}}}}
    async with running({"providers": slow, "routes": {"play": {"providers": ["slow"]}}}) as g:
        opening = asyncio.create_task(open_call(g))
        await asyncio.sleep(1)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening

        assert len(g.calls) == len(g.handler.connections) == 0
        assert g.not_ready() == []


async def test_a_gateway_that_was_not_started():
    gateway = Gateway((await _config()).config)
    try:
        assert (await refused(gateway)).status == 503
        assert gateway.not_ready() == ["starting"]
    finally:
        await gateway.close()


async def _config() -> Gateway:
    async with running() as gateway:
        return gateway


# -- leaving and coming back


async def test_a_client_that_never_comes():
    async with running(resume_window=30) as gateway:
        call = await open_call(gateway)

        await asyncio.sleep(29)
        assert not call.ended.is_set()
        await asyncio.sleep(2)
        assert call.ended.is_set()


async def test_a_client_that_comes_back_finds_its_conversation():
    async with running(resume_window=30) as gateway:
        call = await open_call(gateway)
        first, second = Client(), Client()
        call.attach(first)
        await call.engine.send_text("Hello")
        call.detach(first)
        await asyncio.sleep(20)

        again = await open_call(gateway, None, resume=call.session_id)
        again.attach(second)
        await asyncio.sleep(100)

        assert again is call
        assert not call.ended.is_set()
        assert (await said(call))[0] == "Hello"
        assert len(gateway.calls) == 1


@pytest.mark.parametrize("code", [1000, 1005])
async def test_a_client_that_hangs_up(code: int):
    async with running(resume_window=30) as gateway:
        call = await open_call(gateway)
        client = Client()
        call.attach(client)

        call.detach(client, code)
        await asyncio.wait_for(call.ended.wait(), 1)

        assert len(gateway.calls) == 0


async def test_a_page_that_is_loaded_anew_has_not_hung_up():
    async with running(resume_window=30) as gateway:
        call = await open_call(gateway)
        client = Client()
        call.attach(client)

        call.detach(client, 1001)
        await asyncio.sleep(20)

        assert await open_call(gateway, None, resume=call.session_id) is call


async def test_a_client_that_does_not_come_back():
    async with running(resume_window=30) as gateway:
        call = await open_call(gateway)
        client = Client()
        call.attach(client)
        await asyncio.sleep(100)
        call.detach(client)
        assert not call.attached

        await asyncio.sleep(31)

        assert call.ended.is_set()
        stored = await gateway.store.get(call.id)
        assert stored is not None
        assert stored.reason == "the client left"
        # It may take the call up no more.
        refusal = await refused(gateway, None, resume=call.session_id)
        assert (refusal.status, refusal.code) == (410, "session_expired")


async def test_the_last_connection_wins():
    async with running() as gateway:
        call = await open_call(gateway)
        first, second = Client(), Client()
        call.attach(first)

        again = await open_call(gateway, None, resume=call.session_id)
        again.attach(second)
        call.detach(first)  # its socket closes now
        await asyncio.sleep(100)

        assert [code for code, _ in first.closed] == [1000]
        assert second.closed == []
        assert call.client is second
        assert call.attached


async def test_what_is_said_to_nobody_is_cut():
    async with running() as gateway:
        call = await open_call(gateway)
        client = Client()
        call.attach(client)
        await call.engine.send_text("one two three four five six seven eight nine ten " * 4)
        await asyncio.sleep(2)
        assert call.engine.state == "speaking"

        call.detach(client)
        await asyncio.sleep(1)

        assert call.engine.state == "idle"
        answer = call.engine.conversation.items[-1]
        assert answer.status == "incomplete"
        assert answer.text.startswith("You said: one")
        assert "nine ten one two" in answer.unheard_text


async def test_a_call_of_another_key_is_not_there():
    async with running() as gateway:
        call = await open_call(gateway)
        other = Grant(key_id="other")

        refusal = await refused(gateway, None, resume=call.session_id, grant=other)
        unknown = await refused(gateway, None, resume="sess_nothing", grant=other)

        assert (refusal.status, refusal.code) == (404, "session_not_found")
        assert refusal.body == unknown.body


async def test_a_call_whose_provider_was_lost_is_connected_when_its_client_comes_back():
    metadata = {"faults": "drop:after_s=5,retryable=false"}
    once = {"once": {"provider": "mock", "metadata": metadata, "connect_timeout": 1}}
    routes = {"play": {"providers": ["once"], "reconnect_timeout": 0}}
    async with running({"providers": once, "routes": routes}) as gateway:
        call = await open_call(gateway)
        client = Client()
        call.attach(client)
        await asyncio.sleep(10)
        assert not call.engine.is_connected()
        call.detach(client)

        again = await open_call(gateway, None, resume=call.session_id)

        assert again is call
        assert call.engine.is_connected()


@pytest.mark.real_clock
async def test_a_call_goes_on_in_another_process(tmp_path: Path):
    route = {"providers": ["mock"], "max_duration": 3600}
    content = {"routes": {"play": route}}
    async with running(content, tmp_path, store="calls.db") as gateway:
        call = await open_call(gateway, settings={"instructions": "Be short."})
        await call.engine.send_text("Hello")
        await asyncio.sleep(0.2)
        await gateway.drain(0)
        assert call.ended.is_set()

    async with running(content, tmp_path, store="calls.db") as gateway:
        other = Grant(key_id="other")
        assert (await refused(gateway, None, resume=call.session_id, grant=other)).status == 404
        again = await open_call(gateway, None, resume=call.session_id)

        assert again is not call
        assert (again.id, again.session_id) == (call.id, call.session_id)
        assert again.engine.conversation.items[0].text == "Hello"
        assert again.engine.config.instructions == "Be short."
        assert again.engine.config.max_duration is not None
        assert again.engine.config.max_duration < 3600
        # Another cannot take it up at the same time.
        assert await open_call(gateway, None, resume=call.session_id) is again
        await again.end()
        assert (await refused(gateway, None, resume=call.session_id)).status == 410


# -- the end


async def test_drain_lets_calls_end_and_takes_no_new_ones():
    async with running(drain_timeout=60) as gateway:
        call, left = await open_call(gateway), await open_call(gateway)
        client = Client()
        call.attach(client)

        draining = asyncio.create_task(gateway.drain())
        await asyncio.sleep(1)
        refusal = await refused(gateway)
        assert (refusal.status, refusal.code) == (503, "server_draining")
        assert refusal.retry_after
        assert gateway.not_ready() == ["draining"]
        # Nobody is there to end it.
        assert left.ended.is_set()
        assert not call.ended.is_set()
        # The client of a call that goes on may lose its connection even now.
        call.detach(client)
        assert await open_call(gateway, None, resume=call.session_id) is call
        call.attach(client)

        await call.end()
        await asyncio.wait_for(draining, 1)
        assert client.closed == [(1000, "")]


async def test_drain_ends_what_does_not_end_in_time():
    async with running(drain_timeout=60) as gateway:
        call = await open_call(gateway)
        client = Client()
        call.attach(client)
        began = asyncio.get_running_loop().time()

        await gateway.drain()

        assert asyncio.get_running_loop().time() - began == pytest.approx(60, abs=1)
        assert client.closed == [(1001, "the gateway is going away")]
        assert call.ended.is_set()


async def test_closing_ends_all_calls():
    async with running() as gateway:
        calls = [await open_call(gateway) for _ in range(5)]

    assert all(call.ended.is_set() for call in calls)
    await gateway.close()


# -- its configuration, anew


def write(folder: Path, text: str) -> Path:
    path = folder / "voxengine.toml"
    path.write_text('[gateway]\nstore = "memory"\n' + text)
    return path


async def test_reload_changes_the_routes_and_leaves_the_calls(tmp_path: Path):
    path = write(tmp_path, '[routes.play]\nproviders = ["mock"]\n')
    gateway = Gateway(file=path)
    await gateway.start()
    try:
        call = await open_call(gateway)
        write(tmp_path, '[routes.other]\nproviders = ["mock"]\ninstructions = "New."\n')

        gateway.reload()

        assert (await refused(gateway)).status == 404
        assert (await open_call(gateway, "other")).engine.config.instructions == "New."
        assert call.engine.is_connected()
        call.attach(Client())
        await call.engine.send_text("Hello")
        assert "Hello" in await said(call)
    finally:
        await gateway.close()


@pytest.mark.parametrize(
    "text",
    ["[routes", "[routes.play]\nprovders = 1\n", '[routes.play]\nproviders = ["nobody"]\n'],
)
async def test_a_broken_file_leaves_everything_as_it_was(tmp_path: Path, text: str):
    path = write(tmp_path, '[routes.play]\nproviders = ["mock"]\n')
    gateway = Gateway(file=path)
    await gateway.start()
    try:
        write(tmp_path, text)
        with pytest.raises(ConfigurationError):
            gateway.reload()

        await open_call(gateway)
    finally:
        await gateway.close()


async def test_what_is_settled_at_the_start_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path = write(tmp_path, "")
    gateway = Gateway(file=path)
    write(tmp_path, "port = 1\n")

    gateway.reload()

    assert "port" in caplog.text
    await gateway.close()
