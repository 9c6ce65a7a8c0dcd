"""Openings that come to nothing: a silent vendor, a fickle one, and an application that changes its mind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.providers.openai.calls import (
    Peer,
    calling,
    emulated,
    make,
    peers,
    polite,
    until,
)
from voxengine import events as ev
from voxengine.errors import (
    AuthenticationError,
    ConnectionError,
    ProviderError,
    RateLimitError,
    SessionClosedError,
)
from voxengine.providers.base import ConnectionState
from voxengine.testing.emulators.http import Answer, json_answer


def kinds(call: Any) -> list[str]:
    return [type(event).__name__ for event in call.events]


# -- a vendor that is silent


def _silent(peer: Peer, event: dict[str, Any]) -> None:
    pass


def _never_confirms(peer: Peer, event: dict[str, Any]) -> None:
    if event["type"] == "(open)":
        polite(peer, event)


@pytest.mark.parametrize("react", [_silent, _never_confirms])
async def test_a_socket_without_a_session(react: Any):
    async with peers(react) as server:
        call = server.call(connect_timeout=12)
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(ConnectionError) as caught:
            await call.provider.connect()
        assert (caught.value.code, caught.value.retryable) == ("timeout", True)
        assert loop.time() - began == pytest.approx(12, abs=0.1)
        assert call.of(ev.ConnectionFailed)[0].code == "timeout"
        await until(lambda: server.peer.socket is None)


async def test_one_budget_for_all_of_the_opening():
    """Each step takes less than the budget, all of them together more."""

    def react(peer: Peer, event: dict[str, Any]) -> None:
        peer.later(4, lambda: polite(peer, event))

    async with peers(react) as server:
        call = server.call(connect_timeout=6)
        began = asyncio.get_running_loop().time()
        with pytest.raises(ConnectionError) as caught:
            await call.provider.connect()
        assert caught.value.code == "timeout"
        assert asyncio.get_running_loop().time() - began == pytest.approx(6, abs=0.1)
        await asyncio.sleep(10)


async def test_a_token_that_never_comes():
    async def token() -> str:
        await asyncio.sleep(3600)
        return "late"

    async with peers() as server:
        call = server.call("azure", token_provider=token, connect_timeout=6)
        began = asyncio.get_running_loop().time()
        with pytest.raises(ConnectionError) as caught:
            await call.provider.connect()
        assert caught.value.code == "timeout"
        assert asyncio.get_running_loop().time() - began == pytest.approx(6, abs=0.1)
        assert server.requests == []


# -- a vendor that is fickle


async def test_accepted_and_dropped_at_once():
    async with emulated(faults="flap") as emulator:
        call = make(emulator)
        with pytest.raises(ConnectionError) as caught:
            await call.provider.connect()
        assert (caught.value.code, caught.value.retryable) == ("closed", True)
        assert kinds(call) == ["ConnectionStarting", "ConnectionFailed"]


async def test_dropped_with_the_confirmation():
    """The close frame comes in the same packet as the last thing that is waited for."""

    def react(peer: Peer, event: dict[str, Any]) -> None:
        polite(peer, event)
        if event["type"] == "session.update":
            peer.close(1013, "too busy")

    async with peers(react) as server:
        call = server.call()
        with pytest.raises(ConnectionError, match="too busy") as caught:
            await call.provider.connect()
        assert (caught.value.code, caught.value.retryable) == ("closed", True)
        assert not call.provider.is_connected
        assert kinds(call) == ["ConnectionStarting", "ConnectionFailed"]


@pytest.mark.parametrize(
    ("error", "kind", "code", "retryable"),
    [
        (
            {"type": "invalid_request_error", "code": "invalid_api_key"},
            AuthenticationError,
            "auth",
            False,
        ),
        (
            {"type": "insufficient_quota", "code": "insufficient_quota"},
            RateLimitError,
            "quota",
            False,
        ),
        ({"type": "rate_limit_error", "code": None}, RateLimitError, "rate_limit", True),
        ({"type": "server_error", "code": "server_error"}, ProviderError, "server", True),
    ],
)
@pytest.mark.parametrize("greets", [False, True])
async def test_an_error_in_place_of_a_session(
    error: dict[str, Any], kind: type[ProviderError], code: str, retryable: bool, greets: bool
):
    """As a first event, or together with the greeting; then it hangs up."""

    def react(peer: Peer, event: dict[str, Any]) -> None:
        if event["type"] == "(open)":
            if greets:
                polite(peer, event)
            peer.send("error", error={**error, "message": "No, we do not."})
            peer.close(1008, "bye")

    async with peers(react) as server:
        call = server.call()
        with pytest.raises(kind, match="No, we do not") as caught:
            await call.provider.connect()
        assert (caught.value.code, caught.value.retryable) == (code, retryable)
        assert call.of(ev.ConnectionFailed)[0].code == code


async def test_an_error_beside_the_confirmation_is_told_and_costs_nothing():
    """It comes when the session is there, and we have not yet told of it."""

    def react(peer: Peer, event: dict[str, Any]) -> None:
        polite(peer, event)
        if event["type"] == "session.update":
            peer.send("rate_limits.updated", rate_limits=[{"name": "requests", "limit": 5}])
            peer.send("error", error={"type": "invalid_request_error", "code": "odd"})

    async with peers(react) as server:
        call = server.call()
        await call.provider.connect()
        await asyncio.sleep(1)
        assert kinds(call) == [
            "ConnectionStarting",
            "ConnectionEstablished",
            "RateLimitsUpdated",
            "ErrorGeneral",
        ]
        await call.provider.disconnect()


async def test_nonsense_before_the_greeting_is_no_obstacle():
    def react(peer: Peer, event: dict[str, Any]) -> None:
        if event["type"] == "(open)":
            assert peer.socket is not None
            peer.socket.send("{nonsense")
            peer.send("session.mood", mood="sunny")
        polite(peer, event)

    async with peers(react) as server:
        call = server.call()
        await call.provider.connect()
        assert kinds(call) == ["ConnectionStarting", "ConnectionEstablished"]
        await call.provider.disconnect()


# -- given up on the way


@pytest.mark.parametrize("seconds", [0.0, 0.001, 1.0])
async def test_a_connect_that_is_cancelled_leaves_nothing(seconds: float):
    async with peers(_silent) as server:
        call = server.call()
        work = asyncio.ensure_future(call.provider.connect())
        await asyncio.sleep(seconds)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert not call.provider.is_connected
        assert call.provider.state != ConnectionState.CONNECTING
        await asyncio.sleep(0.1)
        assert all(peer.socket is None for peer in server.peers)
        await call.provider.disconnect()


async def test_a_connect_in_somebodys_own_timeout():
    async with peers(_silent) as server:
        call = server.call()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await call.provider.connect()
        await asyncio.sleep(0.1)
        assert server.peer.socket is None


@pytest.mark.parametrize("seconds", [0.0, 0.001, 1.0])
async def test_disconnect_while_connecting(seconds: float):
    async with peers(_silent) as server:
        call = server.call()
        loop = asyncio.get_running_loop()
        work = asyncio.ensure_future(call.provider.connect())
        await asyncio.sleep(seconds)
        began = loop.time()
        await call.provider.disconnect()
        with pytest.raises(SessionClosedError):
            await work
        assert loop.time() - began < 0.1
        assert call.provider.state == ConnectionState.DISCONNECTED
        assert kinds(call) == ["ConnectionStarting"]
        await asyncio.sleep(0.1)
        assert all(peer.socket is None for peer in server.peers)


async def test_disconnect_while_a_token_is_fetched():
    asked = asyncio.Event()

    async def token() -> str:
        asked.set()
        await asyncio.sleep(5)
        return "late"

    async with peers() as server:
        call = server.call("azure", token_provider=token)
        work = asyncio.ensure_future(call.provider.connect())
        await asked.wait()
        began = asyncio.get_running_loop().time()
        await call.provider.disconnect()
        with pytest.raises(SessionClosedError):
            await work
        assert asyncio.get_running_loop().time() - began < 0.1
        assert server.requests == []


async def test_a_provider_is_connected_once():
    async with emulated() as emulator:
        async with calling(emulator) as call:
            assert await call.provider.connect() is True  # it is
            assert len(emulator.sessions) == 1
        with pytest.raises(SessionClosedError):
            await call.provider.connect()
        lost = make(emulator)
        await lost.provider.connect()
        emulator.sessions[1].close(1011)
        await lost.wait(ev.ConnectionLost)
        with pytest.raises(SessionClosedError):
            await lost.provider.connect()
        await lost.provider.disconnect()
        assert len(emulator.sessions) == 2


async def test_two_connects_at_once_open_one_connection():
    async with emulated() as emulator:
        call = make(emulator)
        both = await asyncio.gather(
            call.provider.connect(), call.provider.connect(), return_exceptions=True
        )
        assert both[0] is True
        assert isinstance(both[1], SessionClosedError)
        assert len(emulator.sessions) == 1
        await call.provider.disconnect()


async def test_what_is_sent_without_a_connection_is_refused():
    async with emulated() as emulator:
        call = make(emulator)
        provider = call.provider
        for work in (
            provider.send_audio(bytes(960)),
            provider.send_text("Hello"),
            provider.create_response(),
            provider.interrupt(),
            provider.commit_audio(),
            provider.update_session(voice="cedar"),
            provider.send_event({"type": "response.create"}),
        ):
            with pytest.raises(ConnectionError) as caught:
                await work
            assert caught.value.code == "not_connected"
        await provider.connect()
        emulator.sessions[0].close(1011)
        await call.wait(ev.ConnectionLost)
        with pytest.raises(ConnectionError) as caught:
            await provider.send_text("Hello")
        assert caught.value.code == "closed"
        await provider.disconnect()


async def test_a_redirect_is_not_followed():
    elsewhere = Answer(307, b"", {"Location": "http://127.0.0.1:9/"})
    async with peers(answer=lambda _: elsewhere) as server:
        call = server.call()
        with pytest.raises(ConnectionError) as caught:
            await call.provider.connect()
        assert caught.value.code == "rejected"
        assert len(server.requests) == 1


async def test_a_refusal_in_words_of_another_vendor():
    body = {"code": "permission-denied", "error": "Your team has no credits left."}
    async with peers(answer=lambda _: json_answer(403, body)) as server:
        call = server.call("xai")
        with pytest.raises(AuthenticationError, match="no credits left"):
            await call.provider.connect()
