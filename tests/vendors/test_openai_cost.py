"""What a call to OpenAI, Azure OpenAI, xAI and a compatible endpoint has used and cost, by the vendor's own count."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.vendors.call import Call, Wire, call_to
from voxengine import events as ev
from voxengine.testing.emulators.faults import Duplicate

#: US dollars for a million tokens: text and audio in, the same from the cache, text and audio out.
PRICES = {
    "openai": (4.0, 32.0, 0.4, 0.4, 24.0, 64.0),
    "azure": (4.0, 32.0, 0.4, 0.4, 16.0, 64.0),
}
INSTRUCTIONS = "You are a patient guide. " * 20


async def a_talk(call: Call) -> None:
    """A turn in speech, one with a tool, one in writing, and one that is cut short."""
    await call.ask("good morning")
    await call.ask("look it up")
    await call.engine.send_text("and in writing")
    await call.quiet()
    await call.speak("tell me more")
    await asyncio.sleep(4)
    await call.speak("stop please")
    await call.quiet()


def used(legs: list[dict[str, Any]], model: str) -> dict[str, Any]:
    (leg,) = [leg for leg in legs if leg["model"] == model]
    return leg


@pytest.mark.parametrize("dialect", ["openai", "azure", "custom"])
async def test_tokens_are_those_that_the_vendor_counts(dialect: str):
    wire = Wire()
    async with call_to(
        dialect, vendor_settings={"on_event": wire}, instructions=INSTRUCTIONS
    ) as call:
        await a_talk(call)
        spent = call.session.usage
        model = call.session.config["model"]
        usage = await call.engine.get_usage()
        leg = used(usage["legs"], model)
        assert leg["responses"] == spent.responses == 6
        assert leg["input_text_tokens"] + leg["input_audio_tokens"] == spent.input_tokens
        assert leg["input_audio_tokens"] == spent.input_audio_tokens > 0
        assert leg["output_text_tokens"] + leg["output_audio_tokens"] == spent.output_tokens
        assert leg["output_audio_tokens"] == spent.output_audio_tokens > 0
        assert leg["cached_text_tokens"] + leg["cached_audio_tokens"] == spent.cached_tokens > 0
        transcription = [row for row in usage["legs"] if row["model"] != model]
        if dialect == "azure":
            heard = sum(item.tokens.audio for item in call.session.items if item.role == "user")
            assert transcription[0]["input_audio_tokens"] == heard > 0
        elif dialect == "openai":
            seconds = sum(i.audio_ms for i in call.session.items if i.role == "user") / 1000
            assert transcription[0]["input_audio_seconds"] == pytest.approx(seconds, abs=0.01)
        assert sum(e.output_audio_tokens for e in call.of(ev.UsageUpdated)) == (
            spent.output_audio_tokens
        )


@pytest.mark.parametrize("dialect", ["openai", "azure"])
async def test_the_cost_is_that_of_the_price_list(dialect: str):
    wire = Wire()
    async with call_to(
        dialect, vendor_settings={"on_event": wire}, instructions=INSTRUCTIONS
    ) as call:
        await a_talk(call)
        text, audio, text_cached, audio_cached, text_out, audio_out = PRICES[dialect]
        dollars = 0.0
        for event in (e for _, e in wire.sent if e["type"] == "response.done"):
            usage = event["response"]["usage"]
            given, out = usage["input_token_details"], usage["output_token_details"]
            cached = given["cached_tokens_details"]
            dollars += (
                (given["text_tokens"] - cached["text_tokens"]) * text
                + (given["audio_tokens"] - cached["audio_tokens"]) * audio
                + cached["text_tokens"] * text_cached
                + cached["audio_tokens"] * audio_cached
                + out["text_tokens"] * text_out
                + out["audio_tokens"] * audio_out
            ) / 1e6
        legs = (await call.engine.get_usage())["legs"]
        assert used(legs, call.session.config["model"])["cost"] == pytest.approx(dollars)
        total = await call.engine.estimate_cost()
        assert total == pytest.approx(sum(leg["cost"] for leg in legs))
        assert total is not None
        assert total > dollars  # the user's words are written down at a price, too


async def test_a_model_without_a_price_has_no_cost():
    async with call_to("custom") as call:
        await call.ask("good morning")
        assert await call.engine.estimate_cost() is None


async def test_seconds_and_messages_are_what_was_sent():
    """xAI is paid by the second of audio, both ways together, and by the message in writing."""
    wire = Wire()
    async with call_to("xai", vendor_settings={"on_event": wire}) as call:
        await a_talk(call)
        session = call.session
    usage = await call.engine.get_usage()
    sent, received = wire.ms(0) / 1000, 0.0
    for whose, event in wire.sent:
        if whose is session and event["type"] == "response.output_audio.delta":
            received += len(event["delta"]) * 3 / 4 / 48000
    assert usage["input_audio_seconds"] == pytest.approx(sent, abs=0.05)
    assert usage["output_audio_seconds"] == pytest.approx(received, abs=0.05)
    assert usage["input_text_messages"] == 1
    cost = await call.engine.estimate_cost()
    assert cost == pytest.approx((sent + received) / 3600 * 4.8 + 4 / 1000, abs=1e-4)


async def test_an_end_that_is_told_twice_is_paid_once():
    faults = Duplicate("response.done", times=0)
    async with call_to(faults=faults, metadata={"transcription_model": "whisper-1"}) as call:
        await call.ask("good morning")
        await call.ask("look it up")
        spent = call.session.usage
        leg = used((await call.engine.get_usage())["legs"], call.session.config["model"])
        assert leg["responses"] == spent.responses == 3
        assert leg["input_text_tokens"] + leg["input_audio_tokens"] == spent.input_tokens
        assert leg["output_audio_tokens"] == spent.output_audio_tokens
        call.check()


async def test_the_limits_of_the_vendor_are_told():
    async with call_to() as call:
        await call.ask("good morning")
        limits = {limit.name: limit for limit in call.of(ev.RateLimitsUpdated)[0].limits}
        assert (limits["requests"].limit, limits["requests"].remaining) == (1000, 999)
        assert limits["tokens"].reset_seconds == 3.0


@pytest.mark.parametrize("mode", ["fast", "provider"])
async def test_other_modes_count_the_same(mode: str):
    async with call_to(mode=mode) as call:
        await call.ask("good morning")
        spent = call.session.usage
        leg = used((await call.engine.get_usage())["legs"], call.session.config["model"])
        assert leg["input_text_tokens"] + leg["input_audio_tokens"] == spent.input_tokens
        assert leg["output_audio_tokens"] == spent.output_audio_tokens > 0
        assert call.ear.words() == "You said: good morning"
