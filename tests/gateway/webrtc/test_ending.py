"""How a connection ends, and what is left of it: nothing, or a call that waits for its client."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import voxengine.gateway.webrtc.connection as rules
from tests.gateway.gateways import until
from tests.gateway.webrtc.calling import Caller, Served, ask, calling, serving

pytestmark = pytest.mark.real_clock


def decoders() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "decoder" in thread.name]


@pytest.mark.parametrize("how", ["channel", "connection"])
async def test_the_client_hangs_up(how: str):
    async with serving() as served, calling(served) as caller:
        call = caller.call
        if how == "channel":
            assert caller.channel is not None
            caller.channel.close()
        else:
            await caller.peer.close()
        await asyncio.wait_for(call.ended.wait(), 10)
        assert call.reason == "the client hung up"


async def test_the_conversation_ends():
    async with serving() as served, calling(served) as caller:
        await caller.call.engine.disconnect("enough")
        await until(lambda: caller.peer.connectionState == "closed")
        assert not len(served.gateway.calls)


async def test_the_gateway_ends():
    async with serving() as served:
        caller = Caller(served)
        await caller.dial()
        await served.gateway.close()
        assert caller.channel is not None
        await until(lambda: caller.channel and caller.channel.readyState == "closed")
        await caller.hang_up()
        await until(lambda: not decoders())


async def test_who_does_not_come(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rules, "CONNECT_BUDGET", 0.3)
    async with serving() as served:
        caller = Caller(served)
        offer = await caller.offer()
        await served.client.realtime.calls.create(
            sdp=offer, session={"type": "realtime", "model": "play"}
        )
        [call] = served.gateway.calls
        await asyncio.wait_for(call.ended.wait(), 10)
        assert call.reason == "the client did not connect"
        await caller.hang_up()


async def test_where_no_call_waits_for_its_client_it_still_has_time_to_connect():
    async with serving(resume_window=0) as served, calling(served) as caller:
        call = caller.call
        assert call.attached
    await asyncio.wait_for(call.ended.wait(), 10)


async def lost(served: Served) -> Caller:
    """A client whose network is gone: nothing of it arrives any more, not even a good-bye."""
    caller = Caller(served)
    await caller.dial()
    caller.microphone.play(b"\0\0" * 48_000)
    [transceiver] = caller.peer.getTransceivers()
    ice: Any = transceiver.sender.transport.transport

    async def nothing(data: bytes) -> None:
        pass

    ice._send = nothing
    return caller


async def test_a_client_that_is_lost_comes_back(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rules, "SILENT_BUDGET", 1.0)
    monkeypatch.setattr(rules, "LOOK", 0.2)
    async with serving() as served:
        caller = await lost(served)
        call = caller.call
        session_id = caller.all("session.created")[0]["session"]["id"]
        await until(lambda: not call.attached)
        assert not call.ending

        async with calling_again(served, session_id) as again:
            assert again.call is call
            assert again.all("session.created")[0]["session"]["id"] == session_id
            ask(again)
            await again.told("output_audio_buffer.stopped")
        await asyncio.wait_for(call.ended.wait(), 10)
        await caller.hang_up()
        await until(lambda: not decoders())


class calling_again:
    """A client that goes on with a session."""

    def __init__(self, served: Served, session_id: str) -> None:
        self.caller = Caller(served)
        self.session_id = session_id

    async def __aenter__(self) -> Caller:
        await self.caller.dial({"resume": self.session_id})
        return self.caller

    async def __aexit__(self, *_: object) -> None:
        await self.caller.hang_up()
        assert self.caller.wrong == []


async def test_a_second_connection_takes_over():
    async with serving() as served:
        first = Caller(served)
        await first.dial()
        session_id = first.all("session.created")[0]["session"]["id"]
        call = first.call
        async with calling_again(served, session_id) as second:
            assert second.call is call
            await until(lambda: first.peer.connectionState == "closed")
            assert call.attached
            assert not call.ending
        await first.hang_up()


async def test_many_calls_leave_nothing():
    async with serving() as served:
        callers = [Caller(served) for _ in range(4)]
        await asyncio.gather(*(caller.dial() for caller in callers))
        assert len(served.gateway.calls) == 4
        await asyncio.gather(*(caller.hang_up() for caller in callers))
        await until(lambda: not len(served.gateway.calls))
        await until(lambda: not decoders())
