"""What is booked: tokens with their cached parts, transcription under its own model, seconds where they are paid."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.providers.openai.calls import Call, Peer, call_of, peers, polite
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.providers.openai.meter import SecondsMeter
from voxengine.testing.emulators.faults import Drop

ANSWERS = {"re:^say (.*)": "{1}", "hello there": "Hi! How can I help?"}
TOKENS = (
    "input_text_tokens",
    "input_audio_tokens",
    "cached_text_tokens",
    "cached_audio_tokens",
    "output_text_tokens",
    "output_audio_tokens",
)


def total(call: Call, name: str, model: str | None = None) -> float:
    found = [e for e in call.of(ev.UsageUpdated) if model is None or e.model == model]
    return float(sum(getattr(event, name) for event in found))


@pytest.mark.parametrize("dialect", ["openai", "azure", "custom"])
async def test_tokens_of_several_responses_add_up(dialect: str):
    async with call_of(dialect, ANSWERS, transcription=False, instructions="Be brief. " * 20) as (
        call,
        emulator,
    ):
        await call.speak("hello there")
        await call.wait_ends()
        await call.ask("say one two")
        await call.ask("say three")
        spent = emulator.sessions[0].usage
        assert spent.responses == 3
        assert spent.cached_tokens > 0
        assert total(call, "input_text_tokens") + total(call, "input_audio_tokens") == (
            spent.input_tokens
        )
        assert total(call, "input_audio_tokens") == spent.input_audio_tokens > 0
        assert total(call, "output_audio_tokens") == spent.output_audio_tokens > 0
        cached = total(call, "cached_text_tokens") + total(call, "cached_audio_tokens")
        assert cached == spent.cached_tokens
        assert total(call, "output_text_tokens") == spent.output_tokens - spent.output_audio_tokens
        ids = [event.response_id for event in call.of(ev.UsageUpdated)]
        assert ids == [event.response_id for event in call.of(ev.ResponseStarted)]
        used = await call.provider.get_usage()
        assert used is not None
        for name in TOKENS:
            assert used.get(name, 0) == total(call, name)
        assert used["model"] == emulator.sessions[0].settings.values["model"]


async def test_usage_comes_before_the_end_of_its_response_and_also_of_one_that_was_cut_short():
    long = " ".join(f"word{n}" for n in range(40))
    async with call_of(responses={"long": long}) as (call, emulator):
        await call.provider.send_text("long")
        await call.wait(ev.AudioOutputChunk, 5)
        await call.provider.interrupt()
        await call.wait_ends()
        kinds = [type(event) for event in call.events]
        assert kinds.index(ev.UsageUpdated) < kinds.index(ev.ResponseCancelled)
        assert total(call, "output_audio_tokens") == emulator.sessions[0].usage.output_audio_tokens


async def test_what_was_called_off_before_it_began_is_paid_for_all_the_same():
    async with call_of(responses=ANSWERS) as (call, emulator):
        await call.provider.send_text("say one two three")
        await call.provider.interrupt()
        await asyncio.sleep(3)
        assert call.of(ev.ResponseStarted) == []
        assert total(call, "input_text_tokens") == emulator.sessions[0].usage.input_tokens > 0


@pytest.mark.parametrize("model", ["gpt-transcribe", "gpt-4o-transcribe", "whisper-1"])
async def test_transcription_is_booked_under_its_own_model(model: str):
    """Some are paid by the token, some by the second."""
    async with call_of(responses=ANSWERS, transcription_model=model) as (call, emulator):
        await call.speak("hello there")
        await call.wait_ends()
        await call.wait(ev.TranscriptCompleted)
        await asyncio.sleep(1)
        booked = [event for event in call.of(ev.UsageUpdated) if event.model == model]
        assert len(booked) == 1
        seconds, tokens = booked[0].input_audio_seconds, booked[0].input_audio_tokens
        assert bool(seconds) != bool(tokens)
        if model == "whisper-1":
            heard = emulator.sessions[0].items[0].audio_ms / 1000
            assert seconds == pytest.approx(heard, abs=0.01)
        if model == "gpt-4o-transcribe":
            assert tokens > 0
        # And not with what the answer used.
        answers = emulator.sessions[0].settings.values["model"]
        assert total(call, "input_audio_tokens", answers) == (
            emulator.sessions[0].usage.input_audio_tokens
        )
        assert {event.model for event in call.of(ev.UsageUpdated)} == {answers, model}


def _names_its_model(peer: Peer, event: dict[str, Any]) -> None:
    polite(peer, event)
    if event["type"] == "response.create":
        usage = {
            "input_tokens": 5,
            "output_tokens": 7,
            "input_token_details": {"text_tokens": 5, "audio_tokens": 0},
            "output_token_details": {"text_tokens": 7, "audio_tokens": 0},
        }
        peer.send("response.created", response={"id": "r"})
        peer.send("response.done", response={"id": "r", "status": "completed", "usage": usage})


@pytest.mark.parametrize(
    ("settings", "model"),
    [
        ({"model": "my-deployment"}, "peer-model"),
        ({"model": "my-deployment", "base_model": "gpt-realtime-2"}, "gpt-realtime-2"),
    ],
)
async def test_the_model_is_the_one_that_is_paid_for(settings: dict[str, Any], model: str):
    """The server knows what is behind the name of a deployment; the application knows it better."""
    async with peers(_names_its_model) as server:
        call = server.call("azure", **settings)
        await call.provider.connect()
        await call.provider.create_response()
        await call.wait_ends()
        assert [event.model for event in call.of(ev.UsageUpdated)] == [model]
        assert await call.provider.get_usage() == {
            "model": model,
            "input_text_tokens": 5,
            "output_text_tokens": 7,
        }
        assert server.requests[0].query["model"] == "my-deployment"
        await call.provider.disconnect()


# -- by the second


async def test_seconds_and_messages_where_they_are_paid_for():
    async with call_of("xai", ANSWERS) as (call, emulator):
        await call.ask("say one two three")
        came = sum(len(e.audio_data) for e in call.of(ev.AudioOutputChunk)) / 48000
        usage = call.of(ev.UsageUpdated)[0]
        assert usage.output_audio_seconds == pytest.approx(came)
        assert usage.input_audio_seconds == 0
        assert usage.input_text_messages == 1
        assert usage.response_id == call.of(ev.ResponseStarted)[0].response_id
        assert total(call, "input_text_tokens") == 0  # they are told, and not paid for
        await call.speak("hello there")
        await call.wait_ends(2)
        sent = call.provider._sent_bytes / 48000
        assert total(call, "input_audio_seconds") <= sent
        await call.provider.send_audio(bytes(48000))
        await call.provider.send_text("Note.", "system")
        await call.provider.disconnect()
        # What is left is told at the end, before the end.
        assert total(call, "input_audio_seconds") == pytest.approx(
            call.provider._sent_bytes / 48000
        )
        assert total(call, "input_text_messages") == 2
        assert isinstance(call.events[-1], ev.ConnectionClosed)
        used = await call.provider.get_usage()
        assert used is not None
        assert used["output_audio_seconds"] == pytest.approx(total(call, "output_audio_seconds"))
        assert {e.model for e in call.of(ev.UsageUpdated)} == {
            emulator.sessions[0].settings.values["model"]
        }


async def test_seconds_of_a_connection_that_was_lost():
    drop = Drop(close_code=1011, after_chunks=3)
    async with call_of("xai", ANSWERS, faults=drop) as (call, _):
        await call.provider.send_audio(bytes(48000))
        await call.provider.send_text("say one two three four")
        await call.wait(ev.ConnectionLost)
        assert total(call, "input_audio_seconds") == pytest.approx(1.0)
        assert total(call, "output_audio_seconds") > 0
        await call.provider.disconnect()
        assert total(call, "input_audio_seconds") == pytest.approx(1.0)


def test_audio_that_is_dropped_after_it_was_reported_is_not_paid_back():
    """Counts only grow: what was told too much is a part of what is sent next."""
    format = AudioFormat("pcm16", 24000)
    meter = SecondsMeter(format, format)
    second = 48000
    reports = [meter.report(sent * second, 0, "m", None, {}) for sent in (10, 8, 8, 9, 11, 11, 12)]
    told = [None if r is None else r.input_audio_seconds for r in reports]
    assert told == [10.0, None, None, None, 1.0, None, 1.0]
