"""Sessions that only write down what they hear."""

from __future__ import annotations

import asyncio

import pytest

from tests.providers.openai.calls import KEY, call_of, provider_of
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.conversation.items import Item
from voxengine.errors import UnsupportedFeatureError
from voxengine.testing import run_conformance

INTENT = {"intent": "transcription"}
DIALECTS = ("openai", "azure", "custom")


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_turns_and_transcripts_come(dialect: str):
    settings = {"language": "de", "transcription_model": "gpt-4o-transcribe"}
    async with call_of(dialect, metadata=INTENT, **settings) as (call, emulator):
        session = emulator.sessions[0]
        assert session.settings.kind == "transcription"
        heard = session.settings.transcription
        assert heard is not None
        assert heard["language"] == "de"
        await call.speak("hello there")
        await call.wait(ev.TranscriptCompleted)
        await call.speak("and goodbye")
        await call.wait(ev.TranscriptCompleted, 2)
        assert call.heard() == ["hello there", "and goodbye"]
        assert [event.item_id for event in call.of(ev.TurnDetected)] == [
            event.item_id for event in call.of(ev.TranscriptCompleted)
        ]
        assert call.of(ev.TranscriptPartial)
        assert call.of(ev.ResponseStarted) == []
        assert session.refused == []
        used = call.of(ev.UsageUpdated)
        assert {event.model for event in used} == {heard["model"]}
        assert sum(event.input_audio_tokens for event in used) > 0


async def test_turns_that_the_application_ends():
    settings = {"turn_detection": "none", "transcription_model": "gpt-realtime-whisper"}
    async with call_of(metadata=INTENT, **settings) as (call, emulator):
        await call.speak("hello there")
        assert call.heard() == []
        await call.provider.commit_audio()
        await call.wait(ev.TranscriptCompleted)
        assert call.heard() == ["hello there"]
        assert emulator.sessions[0].refused == []


async def test_whatever_wants_an_answer_is_refused():
    item = Item(id="i", role="user", text="Hello", status="completed")
    async with call_of(metadata=INTENT) as (call, emulator):
        provider = call.provider
        can = provider.capabilities
        assert can.input_transcription
        assert not any(
            (can.answers, can.audio_output, can.text_input, can.tools, can.truncate, can.say)
        )
        for work in (
            provider.create_response(),
            provider.create_response(["text"]),
            provider.send_text("Hello"),
            provider.send_text("A note.", "system"),
            provider.add_conversation_history([item]),
            provider.send_tool_result("call_1", "{}"),
            provider.truncate_item("item_1", 100.0, ""),
            provider.generate_tts("Hello"),
            provider.send_event({"type": "response.create"}),
            provider.send_event({"type": "response.create", "response": {"conversation": "none"}}),
        ):
            with pytest.raises(UnsupportedFeatureError) as caught:
                await work
            assert caught.value.provider == "openai"
        await provider.interrupt()  # there is nothing to call off
        await asyncio.sleep(1)
        assert emulator.sessions[0].received == ["session.update"]


async def test_its_settings_are_changed():
    async with call_of(metadata=INTENT) as (call, emulator):
        await call.provider.update_session(language="fr", noise_reduction="far_field")
        session = emulator.sessions[0].settings
        assert session.input["transcription"]["language"] == "fr"
        assert session.input["noise_reduction"] == {"type": "far_field"}
        await call.provider.update_session(turn_detection="none")
        assert session.turn_detection is None


async def test_g711():
    format = AudioFormat("g711_ulaw", 8000)
    async with call_of(metadata=INTENT, input_format=format) as (call, _):
        await call.speak("hello there")
        await call.wait(ev.TranscriptCompleted)
        assert call.heard() == ["hello there"]


def test_the_features_are_known_before_it_is_connected():
    provider = provider_of("openai", {"api_key": KEY, "metadata": INTENT})
    assert not provider.supports_feature("answers")
    assert not provider.supports_feature("history")
    assert provider.supports_feature("input_transcription")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_it_conforms(dialect: str):
    report = run_conformance(dialect, {"intent": "transcription"})
    # Whoever wants no transcripts wants no such session.
    failed = {result.name for result in report.of("failed")} - {"tells_only_what_is_wanted"}
    assert failed == set(), str(report)
    assert report.passed > 25
