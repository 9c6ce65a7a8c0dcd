"""What only xAI does: conversations that outlive a connection, audio in binary frames, texts word for word."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.providers.openai.calls import (
    LONG,
    Peer,
    call_of,
    calling,
    emulated,
    make,
    peers,
    polite,
)
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.errors import AuthenticationError, ConnectionError, MessageError, RateLimitError
from voxengine.testing.emulators.faults import Refuse
from voxengine.testing.emulators.http import json_answer

ANSWERS = {"long": LONG, "re:^say (.*)": "{1}", "hello there": "Hi! How can I help?"}


# -- resuming


async def test_a_conversation_is_taken_up_again():
    async with emulated("xai", ANSWERS) as emulator:
        async with calling(emulator) as first:
            assert not first.provider.resumed
            await first.ask("say one two")
            handle = first.provider.resume_handle
            assert handle
        async with calling(emulator, resume=handle) as second:
            assert second.provider.resumed
            assert second.of(ev.ConnectionEstablished)[0].resumed
            assert second.provider.resume_handle == handle
            await asyncio.sleep(2)
            # What was said before is known to both, and not told again.
            kinds = {type(event) for event in second.events}
            assert kinds == {ev.ConnectionStarting, ev.ConnectionEstablished}
            assert len(emulator.sessions[1].items) == 2
            assert await second.ask("say three") == "three"
            assert len(emulator.sessions[1].items) == 4
            second.check()
            # Audio of before can be cut no more than audio of another.
            item_id = str(first.of(ev.TextOutput)[0].item_id)
            with pytest.raises(MessageError):
                await second.provider.truncate_item(item_id, 10.0, "")


async def test_a_conversation_that_is_not_known_any_more():
    async with emulated("xai", ANSWERS) as emulator, calling(emulator, resume="conv_old") as call:
        assert not call.provider.resumed
        assert not call.of(ev.ConnectionEstablished)[0].resumed
        assert call.provider.resume_handle not in (None, "conv_old")
        assert await call.ask("say yes") == "yes"


def _refuses_to_resume(peer: Peer, event: dict[str, Any]) -> None:
    if event["type"] == "(open)":
        conversation = {"id": "conv_new", "object": "realtime.conversation"}
        # As every connection of this server begins: with the same id.
        peer.send("conversation.created", event_id="event_1", conversation=conversation)
    polite(peer, event)


@pytest.mark.parametrize("how", ["http", "error", "close"])
async def test_a_resume_that_is_refused_opens_a_fresh_session(how: str):
    def answer(request: Any) -> Any:
        if how == "http" and "conversation_id" in request.query:
            return json_answer(404, {"error": "There is no such conversation."})
        return None

    def react(peer: Peer, event: dict[str, Any]) -> None:
        if len(server.requests) == 1 and how == "error" and event["type"] == "session.update":
            message = {"type": "invalid_request_error", "message": "Cannot be resumed."}
            peer.send("error", error={**message, "event_id": event["event_id"]})
        elif len(server.requests) == 1 and how == "close":
            if event["type"] == "(open)":
                peer.close(1008, "no such conversation")
        else:
            _refuses_to_resume(peer, event)

    async with peers(react, answer) as server:
        call = server.call("xai", resume="conv_old")
        await call.provider.connect()
        queries = [request.query.get("conversation_id") for request in server.requests]
        assert queries == ["conv_old", None]
        assert not call.provider.resumed
        assert call.provider.resume_handle == "conv_new"
        kinds = [type(event).__name__ for event in call.events]
        assert kinds == ["ConnectionStarting", "ConnectionEstablished"]
        await call.provider.disconnect()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("auth", AuthenticationError),
        ("rate_limit", RateLimitError),
        ("quota", RateLimitError),
        ("server_error", ConnectionError),
    ],
)
async def test_a_failure_that_is_not_about_resuming_does_not_cost_the_conversation(
    code: str, kind: type[Exception]
):
    async with emulated("xai", ANSWERS, faults=Refuse(code)) as emulator:
        call = make(emulator, resume="conv_old")
        with pytest.raises(kind):
            await call.provider.connect()
        assert emulator.faults.connects == 1


async def test_resume_means_nothing_to_the_others():
    async with call_of("openai", ANSWERS, resume="conv_old") as (call, _):
        assert not call.provider.resumed
        assert call.provider.resume_handle is None
        assert await call.ask("say yes") == "yes"


# -- binary audio


@pytest.mark.parametrize(
    "format", [AudioFormat("pcm16", 16000), AudioFormat("g711_ulaw", 8000)], ids=str
)
async def test_audio_in_binary_frames_both_ways(format: AudioFormat):
    async with call_of(
        "xai", ANSWERS, transport="binary", input_format=format, output_format=format
    ) as (call, emulator):
        await call.speak("hello there")
        await call.wait_ends()
        received = set(emulator.sessions[0].received)
        assert "(binary audio)" in received
        assert "input_audio_buffer.append" not in received
        assert call.heard() == ["hello there"]
        assert call.spoken() == "Hi! How can I help?"
        chunks = call.of(ev.AudioOutputChunk)
        assert {chunk.response_id for chunk in chunks} == {
            call.of(ev.ResponseStarted)[0].response_id
        }
        item_id = str(chunks[0].item_id)
        await call.provider.truncate_item(item_id, 100.0, "")
        await asyncio.sleep(1)
        assert emulator.sessions[0].conversation.get(item_id).audio_ms == 100
        call.check()


async def test_binary_audio_of_a_response_that_was_called_off_is_not_heard():
    async with call_of("xai", ANSWERS, transport="binary") as (call, _):
        await call.provider.send_text("long")
        await call.wait(ev.AudioOutputChunk, 3)
        await call.provider.interrupt()
        await call.wait_ends()
        await call.ask("say yes")
        call.check()


async def test_binary_frames_that_are_no_audio():
    def react(peer: Peer, event: dict[str, Any]) -> None:
        polite(peer, event)
        if event["type"] == "session.update":
            assert peer.socket is not None
            peer.socket.send(b"\x00\x01\x02")

    async with peers(react) as server:
        call = server.call("xai", transport="binary")
        await call.provider.connect()
        await asyncio.sleep(1)
        errors = [event.code for event in call.of(ev.ErrorGeneral)]
        assert errors in ([], ["bad_message"])  # it may come before there is a session
        assert call.of(ev.AudioOutputChunk) == []
        await call.provider.disconnect()


# -- word for word


async def test_a_text_is_spoken_word_for_word():
    async with call_of("xai", ANSWERS) as (call, emulator):
        await call.provider.generate_tts("say nothing else")
        await call.wait_ends()
        await asyncio.sleep(3)
        assert call.answers() == ["say nothing else"]
        assert call.spoken() == "say nothing else"
        assert "response.create" not in emulator.sessions[0].received
        call.check()
        with pytest.raises(MessageError):
            await call.provider.generate_tts("")


async def test_a_text_to_be_spoken_waits_for_the_response_under_way():
    async with call_of("xai", ANSWERS) as (call, emulator):
        await call.provider.send_text("say one two three")
        await call.provider.generate_tts("Just this.")
        await call.provider.send_text("say four")
        await call.wait_ends(3)
        assert call.answers() == ["one two three", "Just this.", "four"]
        assert emulator.sessions[0].refused == []
        call.check()


async def test_a_text_to_be_spoken_can_be_interrupted():
    async with call_of("xai", ANSWERS) as (call, _):
        await call.provider.generate_tts(LONG)
        await call.wait(ev.AudioOutputChunk, 3)
        await call.provider.interrupt()
        await call.wait(ev.ResponseCancelled)
        assert await call.ask("say yes") == "yes"
        call.check()


async def test_the_vendors_signs_of_life_are_not_told():
    async with call_of("xai", ANSWERS) as (call, emulator):
        before = len(call.events)
        await asyncio.sleep(60)
        assert len(call.events) == before
        assert not emulator.sessions[0].closed


async def test_other_rates():
    format = AudioFormat("pcm16", 48000)
    async with call_of("xai", ANSWERS, input_format=format, output_format=format) as (call, _):
        assert call.provider.get_audio_format() == format
        await call.speak("hello there")
        await call.wait_ends()
        assert call.spoken() == "Hi! How can I help?"
        assert call.of(ev.AudioOutputChunk)[0].sample_rate == 48000
