"""The fault menu of the emulator: each is told by a typed event, and the session goes on or is lost in good order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.providers.openai.calls import (
    LONG,
    Call,
    Peer,
    call_of,
    calling,
    emulated,
    peers,
    polite,
    until,
)
from voxengine import events as ev
from voxengine.errors import ConnectionError
from voxengine.providers.base import ConnectionState
from voxengine.testing.emulators.faults import (
    Drop,
    Duplicate,
    ErrorOnce,
    Expire,
    Lag,
    Late,
    LateAudio,
    Malformed,
    OutOfOrder,
    Oversized,
    Slow,
    Stall,
    UnknownEvent,
)

ANSWERS = {"long": LONG, "re:^say (.*)": "{1}"}


async def still_answers(call: Call) -> None:
    assert call.provider.is_connected
    assert await call.ask("say yes") == "yes"
    call.check()


# -- the connection is lost


@pytest.mark.parametrize(
    ("close_code", "code", "retryable"),
    [
        (1011, "closed", True),
        (1000, "closed", True),
        (1001, "closed", True),
        (1013, "closed", True),
        (4000, "closed", True),
        (1008, "closed", False),
        (1007, "closed", False),
        (None, "closed", True),
    ],
)
async def test_a_connection_that_is_lost_in_mid_audio(
    close_code: int | None, code: str, retryable: bool
):
    drop = Drop(close_code=close_code, reason="upstream", after_chunks=3)
    async with call_of(responses=ANSWERS, faults=drop) as (call, _):
        await call.provider.send_text("long")
        lost = await call.wait(ev.ConnectionLost)
        assert (lost.code, lost.close_code, lost.retryable) == (code, close_code, retryable)
        if close_code is not None:
            assert lost.reason == "upstream"
        assert lost.is_error
        end = call.ends()[0]
        assert isinstance(end, ev.ResponseError)
        assert end.response_id == call.of(ev.ResponseStarted)[0].response_id
        assert call.events[-1] is lost
        assert call.provider.state == ConnectionState.ERROR
        call.check()
        with pytest.raises(ConnectionError):
            await call.provider.send_audio(bytes(960))
        await call.provider.disconnect()
        assert call.events[-1] is lost  # it is not closed a second time


async def test_a_connection_that_is_lost_while_it_is_quiet():
    async with call_of(faults=Drop(close_code=1012, after_s=5)) as (call, _):
        lost = await call.wait(ev.ConnectionLost)
        assert (lost.close_code, lost.retryable) == (1012, True)
        assert call.ends() == []


async def test_a_session_that_has_lasted_too_long():
    async with call_of(responses=ANSWERS, faults=Expire(after_s=60)) as (call, _):
        lost = await call.wait(ev.ConnectionLost)
        assert (lost.code, lost.close_code, lost.retryable) == ("session_expired", 1001, True)
        error = call.of(ev.ErrorGeneral)[0]
        assert error.code == "session_expired"
        assert "60 minutes" in str(error.error)


async def test_an_hour_is_the_longest():
    async with call_of(turn_detection="none") as (call, _):
        await asyncio.sleep(float(call.provider.capabilities.max_connection_seconds or 0) - 1)
        assert call.provider.is_connected
        lost = await call.wait(ev.ConnectionLost)
        assert lost.code == "session_expired"


async def test_the_machine_of_the_vendor_is_gone():
    async with emulated(responses=ANSWERS) as emulator, calling(emulator) as call:
        await call.provider.send_text("long")
        await call.wait(ev.AudioOutputChunk, 3)
        await emulator.kill()
        lost = await call.wait(ev.ConnectionLost)
        assert (lost.code, lost.close_code, lost.retryable) == ("closed", None, True)
        call.check()


async def test_an_error_that_says_why_it_will_hang_up():
    """The word of the loss is that of the error before it, as long as nothing went on in between."""

    def react(peer: Peer, event: dict[str, Any]) -> None:
        polite(peer, event)
        if event["type"] == "input_audio_buffer.commit":
            peer.send("error", error={"code": "insufficient_quota", "message": "No money."})
        if event["type"] == "input_audio_buffer.clear":
            peer.close(1011, "bye")
        if event["type"] == "response.create":
            peer.send("response.created", response={"id": "r1"})
            peer.send("response.done", response={"id": "r1", "status": "completed"})

    for goes_on in (False, True):
        async with peers(react) as server:
            call = server.call()
            await call.provider.connect()
            await call.provider.commit_audio()
            error = await call.wait(ev.ErrorGeneral)
            assert (error.code, error.recoverable) == ("quota", False)
            if goes_on:
                await call.provider.create_response()
                await call.wait(ev.ResponseCompleted)
            await call.provider.clear_audio()
            lost = await call.wait(ev.ConnectionLost)
            told = ("closed", True) if goes_on else ("quota", False)
            assert (lost.code, lost.retryable) == told
            await call.provider.disconnect()


# -- the session goes on


async def test_a_stall_is_no_loss_and_what_was_due_comes_afterwards():
    async with call_of(responses=ANSWERS, faults=Stall(30, after_chunks=2)) as (call, _):
        assert await call.ask("say one two three four") == "one two three four"
        assert call.of(ev.ConnectionLost) == []
        await still_answers(call)


async def test_a_stall_for_ever_can_be_disconnected_from():
    async with call_of(responses=ANSWERS, faults=Stall(after_chunks=2)) as (call, emulator):
        await call.provider.send_text("long")
        await call.wait(ev.AudioOutputChunk, 2)
        await asyncio.sleep(120)
        assert call.provider.is_connected
        assert call.ends() == []
        await call.provider.disconnect()
        assert isinstance(call.ends()[0], ev.ResponseCancelled)
        assert isinstance(call.events[-1], ev.ConnectionClosed)
        await until(lambda: emulator.sessions[0].closed)
        call.check()


@pytest.mark.parametrize("fault", [Slow(8.0), Lag(2.0)], ids=["slow", "lag"])
async def test_a_slow_vendor(fault: Any):
    async with call_of(responses=ANSWERS, faults=fault) as (call, _):
        assert await call.ask("say one two three") == "one two three"
        await still_answers(call)


async def test_a_very_large_event():
    async with call_of(responses=ANSWERS, faults=Oversized(after_chunks=2)) as (call, _):
        assert await call.ask("say one two three") == "one two three"
        raw = call.of(ev.RawEvent)[0]
        assert len(raw.payload["item"]["content"][0]["audio"]) > 19_000_000
        await still_answers(call)


async def test_an_event_of_a_type_that_nobody_knows():
    fault = UnknownEvent("response.mood.updated", after_chunks=1)
    async with call_of(responses=ANSWERS, faults=fault) as (call, _):
        await call.ask("say one two three")
        raw = call.of(ev.RawEvent)[0]
        assert (raw.name, raw.payload["mood"]) == ("response.mood.updated", "sunny")
        await still_answers(call)


@pytest.mark.parametrize(
    "text", ['{"type": "response.done", ', "[]", "5", '{"type": 7}', "", '{"a": 1}', "null"]
)
async def test_a_message_that_is_none(text: str):
    fault = Malformed(text, after_chunks=1)
    async with call_of(responses=ANSWERS, faults=fault) as (call, _):
        await call.ask("say one two three")
        error = call.of(ev.ErrorGeneral)[0]
        assert (error.code, error.recoverable) == ("bad_message", True)
        await still_answers(call)


async def test_audio_of_a_response_that_was_cancelled():
    async with call_of(responses=ANSWERS, faults=LateAudio(after_chunks=1)) as (call, _):
        await call.provider.send_text("long")
        await call.wait(ev.AudioOutputChunk, 4)
        await call.provider.interrupt()
        await call.wait_ends()
        await asyncio.sleep(1)
        await still_answers(call)  # nothing came outside of its response


@pytest.mark.parametrize(
    "kind",
    [
        "response.created",
        "response.done",
        "response.output_audio.delta",
        "response.output_audio_transcript.delta",
        "response.output_audio_transcript.done",
        "response.output_item.added",
        "response.output_item.done",
        "session.created",
        "conversation.item.done",
        "rate_limits.updated",
    ],
)
async def test_an_event_that_comes_twice(kind: str):
    """It has the same event_id, and counts once."""
    faults = [Duplicate(kind, times=3)]
    async with call_of(responses=ANSWERS, faults=faults) as (call, emulator):
        assert await call.ask("say one two three four five") == "one two three four five"
        assert call.spoken() == "one two three four five"
        came = sum(len(event.audio_data) for event in call.of(ev.AudioOutputChunk))
        assert came == len(emulator.sessions[0].items[-1].audio)
        assert len(call.of(ev.UsageUpdated)) == 1
        await still_answers(call)


@pytest.mark.parametrize("numbered", ["all the same", "anew in each response"])
async def test_ids_of_events_that_tell_nothing(numbered: str):
    """Some compatible servers do not number their events, or not over all of the session."""

    def react(peer: Peer, event: dict[str, Any]) -> None:
        count = 0

        def send(kind: str, **fields: Any) -> None:
            nonlocal count
            count += numbered != "all the same"
            peer.send(kind, event_id=f"event_{count}", **fields)

        if event["type"] == "(open)":
            send("session.created", session={"id": "s"})
        elif event["type"] == "session.update":
            send("session.updated", session={"id": "s"})
        elif event["type"] == "response.create":
            n = peer.types().count("response.create")
            of = {"response_id": f"r{n}", "item_id": f"i{n}"}
            send("response.created", response={"id": f"r{n}"})
            for _ in range(3):
                send("response.output_text.delta", **of, delta="ha")
            send("response.done", response={"id": f"r{n}", "status": "completed"})

    async with peers(react) as server:
        call = server.call()
        await call.provider.connect()
        for _ in range(3):
            assert await call.ask("laugh") == "hahaha"
        call.check()
        await call.provider.disconnect()


async def test_a_call_of_a_tool_that_comes_twice_is_one():
    tools = [{"name": "weather", "parameters": {"type": "object", "properties": {}}}]
    faults = [Duplicate("response.function_call_arguments.done")]
    answers = {"weather?": {"tool": {"name": "weather"}}}
    async with call_of(responses=answers, faults=faults, tools=tools) as (call, _):
        await call.provider.send_text("weather?")
        await call.wait_ends()
        assert len(call.of(ev.FunctionInvoked)) == 1


@pytest.mark.parametrize(
    "fault",
    [
        OutOfOrder("response.output_audio_transcript.delta", behind=2),
        OutOfOrder("response.created", behind=1),
        Late("response.done", by=2.0),
    ],
    ids=str,
)
async def test_events_out_of_their_order_lose_nothing_and_end_once(fault: Any):
    async with call_of(responses=ANSWERS, faults=[fault]) as (call, _):
        await call.provider.send_text("say one two three")
        await call.wait_ends()
        await asyncio.sleep(3)
        assert len(call.ends()) == 1
        assert call.spoken() == "one two three"
        await call.provider.send_text("say yes")
        await call.wait_ends(2)
        assert call.answers()[-1] == "yes"


@pytest.mark.parametrize(
    ("vendor", "code", "retryable"),
    [
        ("server_error", "server", True),
        ("rate_limit_exceeded", "rate_limit", True),
        ("insufficient_quota", "quota", False),
        ("some_code_of_tomorrow", "server", True),
    ],
)
async def test_an_error_in_a_response(vendor: str, code: str, retryable: bool):
    fault = ErrorOnce(code=vendor, message="Something went wrong.", after_chunks=2)
    async with call_of(responses=ANSWERS, faults=fault) as (call, _):
        await call.provider.send_text("say one two three four")
        await call.wait_ends()
        end = call.ends()[0]
        assert isinstance(end, ev.ResponseError)
        assert (end.code, end.retryable) == (code, retryable)
        assert "Something went wrong" in str(end.error)
        await still_answers(call)


@pytest.mark.parametrize(
    ("vendor", "code"),
    [
        ("server_error", "server"),
        ("rate_limit_exceeded", "rate_limit"),
        ("weird", "server"),
        ("response_cancel_not_active", None),
    ],
)
async def test_an_error_outside_of_a_response(vendor: str, code: str | None):
    fault = ErrorOnce(code=vendor, message="Something went wrong.", after_s=3)
    async with call_of(responses=ANSWERS, faults=fault) as (call, _):
        await asyncio.sleep(4)
        errors = [(e.code, e.recoverable) for e in call.of(ev.ErrorGeneral)]
        assert errors == ([] if code is None else [(code, True)])
        await still_answers(call)


# -- a vendor that does not read


async def test_audio_that_the_vendor_does_not_take_is_dropped_and_told():
    """It reads nothing for a while: audio is dropped, what is said in writing arrives, memory is bounded."""
    heard: list[int] = []

    def react(peer: Peer, event: dict[str, Any]) -> None:
        polite(peer, event)
        if event["type"] == "input_audio_buffer.append":
            heard.append(len(event["audio"]))

    async with peers(react) as server:
        call = server.call("xai")
        provider = call.provider
        await provider.connect()
        raw = server.peer.socket._websocket._transport.underlying_transport  # type: ignore[union-attr]
        raw.pause_reading()
        chunk = bytes(48 * 100)
        sent = 0
        highest = 0
        for n in range(4000):  # 400 s of audio: 25 MB as base64
            await provider.send_audio(chunk)
            sent += 1
            highest = max(highest, provider._socket.buffered_bytes)  # type: ignore[union-attr]
            if n == 3000:
                await provider.send_text("are you there?")
            if n % 10 == 0:
                await asyncio.sleep(0.01)
        assert highest < 2_000_000
        raw.resume_reading()
        await until(lambda: "response.create" in server.peer.types())
        await until(lambda: provider._socket.buffered_bytes == 0)  # type: ignore[union-attr]
        await asyncio.sleep(1)
        dropped = call.of(ev.AudioDropped)
        assert dropped
        assert {event.direction for event in dropped} == {"input"}
        assert len(heard) + sum(event.chunks for event in dropped) == sent
        lost_ms = sum(event.audio_ms for event in dropped)
        assert lost_ms == pytest.approx((sent - len(heard)) * 100)
        assert "conversation.item.create" in server.peer.types()
        # What did not arrive is not paid for.
        await provider.disconnect()
        used = sum(event.input_audio_seconds for event in call.of(ev.UsageUpdated))
        assert used == pytest.approx(len(heard) / 10)
