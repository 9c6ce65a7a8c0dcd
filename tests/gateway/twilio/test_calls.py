"""Calls by telephone over real sockets: what is heard on both sides, barge-in, keys, and the end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.gateway.gateways import until
from tests.gateway.twilio.calling import human, mock, office, words
from voxengine.audio.signal import understand
from voxengine.gateway.twilio.messages import TELEPHONE
from voxengine.testing.emulators.twilio import TwilioCall


async def test_a_turn_and_its_answer():
    async with office() as desk, TwilioCall(desk.stream) as phone:
        call = await desk.call_of(phone)
        assert (call.wire, call.route.name) == ("twilio", "play")
        assert call.engine.config.input_format == call.engine.config.output_format == TELEPHONE
        await phone.say(words("hello there"))
        await until(lambda: phone.received)
        await until(lambda: not phone.left_ms)
        assert understand(phone.heard, TELEPHONE) == "You said: hello there"
        assert phone.clears == []
        assert phone.violations == []


async def test_what_is_said_before_the_provider_is_connected_is_heard():
    async with office(mock(latency_ms={"connect": 3000})) as desk, TwilioCall(desk.stream) as phone:
        await phone.say(words("hello there"))
        assert len(desk.gateway.calls) == 0
        await until(lambda: phone.received)
        call = await desk.call_of(phone)
        assert call.engine.conversation.items[0].text == "hello there"


async def test_a_persons_voice_makes_a_turn():
    async with office(mock(transcripts=["ask not"])) as desk, TwilioCall(desk.stream) as phone:
        call = await desk.call_of(phone)
        await phone.say(human())
        await until(lambda: phone.received)
        await until(lambda: not phone.left_ms and call.engine.state == "idle")
        texts = [item.text for item in call.engine.conversation.items]
        assert texts[:2] == ["ask not", "You said: ask not"]


# -- barge-in

LONG = " ".join(f"word{n}" for n in range(60))


@pytest.mark.parametrize("delay_ms", [0, 40, 400])
async def test_what_was_heard_of_an_answer_that_is_cut(delay_ms: int):
    content = mock(mock_responses={"hello": LONG}, realtime_factor=50)
    async with office(content) as desk, TwilioCall(desk.stream, delay_ms=delay_ms) as phone:
        call = await desk.call_of(phone)
        await phone.say(words("hello"))
        await until(lambda: phone.heard_ms > 4000)
        await phone.say(words("stop"))

        (clear,) = phone.clears
        assert clear.marks  # all of them come back, of audio that nobody has heard
        await until(lambda: len(call.engine.conversation.items) >= 4)
        cut = call.engine.conversation.items[1]
        assert cut.status == "incomplete"
        heard_ms = cut.heard_ms
        assert heard_ms == pytest.approx(clear.heard_ms, abs=120)
        assert clear.heard_ms < 6000
        heard = understand(phone.heard, TELEPHONE)
        assert heard.startswith(cut.text[:10])

        await until(lambda: "stop" in understand(phone.heard, TELEPHONE))
        assert call.engine.conversation.items[1].heard_ms == heard_ms
        assert len(phone.clears) == 1


async def test_speech_does_not_stop_an_answer_that_may_not_be_interrupted():
    content = mock(mock_responses={"hello": LONG}, realtime_factor=50)
    content["routes"]["play"]["interruptions"] = False
    async with office(content) as desk, TwilioCall(desk.stream) as phone:
        await phone.say(words("hello"))
        await until(lambda: phone.heard_ms > 2000)
        await phone.say(words("stop"))
        await asyncio.sleep(5)
        assert phone.clears == []


# -- keys


async def test_keys_are_told_to_the_assistant():
    async with office() as desk, TwilioCall(desk.stream) as phone:
        call = await desk.call_of(phone)
        phone.press("42#")
        phone.press("7")
        await until(lambda: len([i for i in call.engine.conversation if i.role == "system"]) == 2)
        notes = [i.text for i in call.engine.conversation if i.role == "system"]
        assert notes == ["The caller pressed 42#", "The caller pressed 7"]
        events = await desk.gateway.store.events(call.id)
        assert [e.data for e in events if e.type == "dtmf"] == [{"digits": "42#"}, {"digits": "7"}]
        await until(lambda: phone.received)


async def test_keys_that_a_route_ignores():
    content = mock()
    content["routes"]["play"]["dtmf"] = "ignore"
    async with office(content) as desk, TwilioCall(desk.stream) as phone:
        call = await desk.call_of(phone)
        phone.press("1")
        await asyncio.sleep(5)
        assert len(call.engine.conversation) == 0
        assert phone.received == b""


# -- the end


async def test_hanging_up_ends_the_call():
    async with office(resume_window=1000) as desk:
        async with TwilioCall(desk.stream) as phone:
            call = await desk.call_of(phone)
        async with asyncio.timeout(5):
            await call.ended.wait()
        assert len(desk.gateway.calls) == 0


async def test_a_call_that_is_cut_off_is_over():
    async with office(resume_window=1000) as desk, TwilioCall(desk.stream) as phone:
        call = await desk.call_of(phone)
        assert phone._socket is not None
        phone._socket.abort()
        async with asyncio.timeout(5):
            await call.ended.wait()


async def test_a_caller_who_hangs_up_while_the_call_is_opened():
    async with office(mock(latency_ms={"connect": 5000})) as desk:
        async with TwilioCall(desk.stream) as phone:
            await phone.say(words("hello"))
        await asyncio.sleep(1)
        assert desk.gateway._opening == 0
        assert len(desk.gateway.calls) == 0
        assert desk.gateway.handler.connections == {}


@pytest.mark.parametrize("delay_ms", [0, 300])
async def test_the_goodbye_is_heard_to_its_end(delay_ms: int):
    content = mock()
    content["routes"]["play"] |= {"max_duration": 5, "warn_at": []}
    async with office(content) as desk, TwilioCall(desk.stream, delay_ms=delay_ms) as phone:
        await phone.ended.wait()
        assert len(phone.received) > 8000 * 2
        assert phone.heard == bytes(phone.received)
        assert phone.closed is not None
        assert phone.closed.code == 1000


async def test_an_operator_hangs_up_in_the_middle_of_an_answer():
    content = mock(mock_responses={"hello": LONG}, realtime_factor=50)
    async with office(content) as desk, TwilioCall(desk.stream) as phone:
        call = await desk.call_of(phone)
        await phone.say(words("hello"))
        await until(lambda: phone.heard_ms > 1000)
        async with asyncio.timeout(1):
            await call.end("by an operator")
            await phone.ended.wait()


async def test_the_apology_is_heard_when_the_provider_is_lost():
    async with office() as desk, TwilioCall(desk.stream) as phone:
        call = await desk.call_of(phone)
        provider: Any = call.engine.provider
        provider.simulate_error("closed", "gone", retryable=False)
        await phone.ended.wait()
        assert len(phone.received) > 8000
        assert phone.heard == bytes(phone.received)
        assert phone.closed is not None
        assert phone.closed.code == 1011
