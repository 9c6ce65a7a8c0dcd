"""Texts, responses, tools, interruptions, history: what is asked for is done, once, in order, and never lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.providers.openai.calls import (
    DIALECTS,
    LONG,
    Peer,
    call_of,
    calling,
    emulated,
    peers,
    polite,
)
from voxengine import events as ev
from voxengine.errors import MessageError, ProviderError

ECHO = {"re:^say (.*)": "{1}"}


# -- texts


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_text_is_answered(dialect: str):
    async with call_of(dialect, {"hello": "Hi there, how are you?"}) as (call, emulator):
        assert (await call.ask("hello")).strip() == "Hi there, how are you?"
        assert call.spoken() == "Hi there, how are you?"
        assert emulator.sessions[0].refused == []
        call.check()


async def test_two_quick_texts_are_both_answered_in_order():
    async with call_of(responses=ECHO) as (call, emulator):
        await call.provider.send_text("say one")
        await call.provider.send_text("say two")
        await call.wait_ends(2)
        assert call.answers() == ["one", "two"]
        assert emulator.sessions[0].refused == []
        call.check()


async def test_a_text_while_it_speaks_is_answered_afterwards():
    async with call_of(responses={"long": LONG, **ECHO}) as (call, _):
        await call.provider.send_text("long")
        await call.wait(ev.TextOutput, 3)
        await call.provider.send_text("say more")
        await call.wait_ends(2)
        assert call.answers() == [LONG, "more"]
        call.check()


async def test_text_interrupt_and_text_at_once():
    async with call_of(responses={"long": LONG, **ECHO}) as (call, emulator):
        await call.provider.send_text("long")
        await call.provider.interrupt()
        await call.provider.send_text("say this")
        await call.wait(ev.ResponseCompleted)
        assert call.answers() == ["this"]
        assert [r.status for r in emulator.sessions[0].items if r.role == "user"] == [
            "completed",
            "completed",
        ]
        call.check()
        # What was called off before it began is told of in no way, and what comes next is not touched.
        assert call.provider.capabilities.cancel_requested
        assert await call.ask("say that") == "that"
        call.check()


async def test_an_assistants_text_and_a_note_are_not_answered():
    async with call_of(responses=ECHO) as (call, emulator):
        await call.provider.send_text("I said that before.", "assistant")
        await call.provider.send_text("The user is in a car.", "system")
        await asyncio.sleep(5)
        assert call.of(ev.ResponseStarted) == []
        assert [(i.role, i.text) for i in emulator.sessions[0].items] == [
            ("assistant", "I said that before."),
            ("system", "The user is in a car."),
        ]
        assert await call.ask("say yes") == "yes"


async def test_texts_that_are_none():
    async with call_of() as (call, emulator):
        for text, role in (("", "user"), ("Hello", "butler")):
            with pytest.raises(MessageError):
                await call.provider.send_text(text, role)
        assert emulator.sessions[0].received == ["session.update"]


# -- responses on request


async def test_a_response_with_instructions_of_its_own():
    async with call_of(responses={"greet in Welsh": "Shwmae", **ECHO}) as (call, _):
        await call.provider.create_response(instructions="greet in Welsh")
        await call.wait_ends()
        assert call.answers() == ["Shwmae"]
        assert await call.ask("say yes") == "yes"


async def test_a_response_in_text_alone():
    async with call_of(responses=ECHO) as (call, _):
        await call.provider.send_text("say yes", "user")
        await call.wait_ends()
        heard = len(call.of(ev.AudioOutputChunk))
        await call.provider.create_response(["text"])
        await call.wait_ends(2)
        assert call.answers() == ["yes", "yes"]
        assert len(call.of(ev.AudioOutputChunk)) == heard
        call.check()


async def test_twenty_requests_in_a_row():
    async with call_of(responses=ECHO) as (call, emulator):
        await call.provider.send_text("say yes", "user")
        for _ in range(20):
            await call.provider.create_response()
        await call.wait_ends(2)
        await asyncio.sleep(10)
        assert call.answers() == ["yes", "yes"]  # one after the one under way answers them all
        assert emulator.sessions[0].refused == []
        call.check()


async def test_many_different_requests_wait_in_their_order_and_too_many_are_refused():
    async with call_of(responses={"re:^(number .*)": "{1}"}) as (call, emulator):
        asked: list[str] = []

        async def ask_on() -> None:
            for n in range(40):
                await call.provider.create_response(instructions=f"number {n}")
                asked.append(f"number {n}")

        with pytest.raises(ProviderError) as caught:
            await ask_on()
        assert caught.value.code == "overloaded"
        assert caught.value.provider == "openai"
        assert len(asked) > 10
        await call.wait_ends(len(asked))
        assert call.answers() == asked
        assert emulator.sessions[0].refused == []
        call.check()


async def test_a_request_that_the_vendor_refuses():
    async with emulated(valid=False, responses=ECHO) as emulator, calling(emulator) as call:
        await call.provider.send_event(
            {"type": "response.create", "response": {"max_output_tokens": -5}}
        )
        failed = await call.wait(ev.ResponseError)
        assert failed.response_id is None
        assert "max_output_tokens" in str(failed.error)
        assert await call.ask("say yes") == "yes"


async def test_a_response_that_fails():
    async with call_of(responses={"boom": {"error": "server_error"}, **ECHO}) as (call, _):
        await call.provider.send_text("boom")
        failed = await call.wait(ev.ResponseError)
        assert (failed.code, failed.retryable) == ("server", True)
        assert failed.response_id == call.of(ev.ResponseStarted)[0].response_id
        assert await call.ask("say yes") == "yes"
        call.check()


async def test_a_request_that_meets_the_vendors_own_response_is_made_again():
    """Its answer to a turn begins as ours is on its way: ours is refused, waits, and is answered."""
    async with call_of(responses={"hello": "Hi!", "add a joke": "Knock knock."}) as (call, em):
        await call.speak("hello", then_ms=0)
        # The vendor hears the end of the turn in the same packet as the request.
        await call.provider.send_audio(bytes(48 * 600))
        await call.provider.create_response(instructions="add a joke")
        await call.wait_ends(2)
        assert call.answers() == ["Hi!", "Knock knock."]
        refused = ("response.create", "conversation_already_has_active_response")
        assert em.sessions[0].refused == [refused]
        assert call.of(ev.ErrorGeneral) == []
        call.check()


def _own_response_first(peer: Peer, event: dict[str, Any]) -> None:
    """A vendor whose own response begins just before the first request comes."""
    polite(peer, event)
    count = sum(kind == "response.create" for kind in peer.types())
    if event["type"] != "response.create":
        return
    if count == 1:
        peer.send("response.created", response={"id": "own", "conversation_id": "conv"})
        peer.send(
            "error",
            error={
                "type": "invalid_request_error",
                "code": "conversation_already_has_active_response",
                "message": "Conversation already has an active response in progress: own.",
                "event_id": event["event_id"],
            },
        )
        done = {"id": "own", "status": "completed"}
        peer.later(3, lambda: peer.send("response.done", response=done))
    else:
        peer.send("response.created", response={"id": f"asked_{count}"})
        peer.send("response.done", response={"id": f"asked_{count}", "status": "completed"})


async def test_a_request_that_is_refused_for_one_of_the_vendors_own_is_not_lost():
    async with peers(_own_response_first) as server:
        call = server.call()
        await call.provider.connect()
        await call.provider.send_text("hello")
        await call.wait_ends(2)
        assert [e.response_id for e in call.ends()] == ["own", "asked_2"]
        assert server.peer.types().count("response.create") == 2
        assert call.of(ev.SystemWarning)[0].code == "conversation_already_has_active_response"
        assert call.of(ev.ErrorGeneral) == []
        call.check()
        await call.provider.disconnect()


async def test_a_refused_request_that_was_called_off_is_not_made_again():
    async with peers(_own_response_first) as server:
        call = server.call()
        await call.provider.connect()
        await call.provider.send_text("hello")
        await call.wait(ev.ResponseStarted)
        await call.provider.interrupt()
        await asyncio.sleep(10)
        assert server.peer.types().count("response.create") == 1
        assert server.peer.types()[-1] == "response.cancel"
        await call.provider.disconnect()


async def test_a_vendor_that_refuses_without_end_is_not_asked_without_end():
    def react(peer: Peer, event: dict[str, Any]) -> None:
        polite(peer, event)
        if event["type"] == "response.create":
            error = {
                "type": "invalid_request_error",
                "code": "conversation_already_has_active_response",
                "message": "There is one.",
                "event_id": event["event_id"],
            }
            peer.send("error", error=error)

    async with peers(react) as server:
        call = server.call()
        await call.provider.connect()
        await call.provider.send_text("hello")
        await asyncio.sleep(60)
        assert 1 < server.peer.types().count("response.create") < 10
        # It is not forgotten either: when something has ended after all, it is asked for again.
        asked = server.peer.types().count("response.create")
        server.peer.send("response.created", response={"id": "own"})
        server.peer.send("response.done", response={"id": "own", "status": "completed"})
        await call.wait_ends()
        await asyncio.sleep(1)
        assert server.peer.types().count("response.create") > asked
        await call.provider.disconnect()
