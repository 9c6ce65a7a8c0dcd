"""The three modes: what each asks of the provider, what each tells, and that all hold the same conversation."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.engine.conftest import MakeEngine
from tests.engine.desk import desk
from voxengine import EventType, VoiceEngine, VoiceEngineConfig
from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import speak

FORMAT = AudioFormat()
#: What only mode "big" is for.
EXTRAS = {
    "transcript_partial",
    "transcript_completed",
    "vad_speech_started",
    "vad_speech_ended",
    "conversation_updated",
    "metrics_updated",
    "timing_stage",
    "raw",
}


async def talk(engine: VoiceEngine, text: str, pause_ms: float = 800.0) -> None:
    """Say something, at the pace of speech."""
    audio = speak(text, FORMAT) + bytes(FORMAT.n_bytes(pause_ms))
    size = FORMAT.n_bytes(20)
    for start in range(0, len(audio), size):
        await engine.send_audio(audio[start : start + size])
        await asyncio.sleep(0.02)


def mock(mode: Any, **metadata: Any) -> tuple[VoiceEngine, list[Any]]:
    metadata = {"mock_responses": {"hello": "hi how are you", "stop": "fine"}, **metadata}
    engine = VoiceEngine(VoiceEngineConfig(provider="mock", mode=mode, metadata=metadata))
    events: list[Any] = []
    engine.on("*", events.append)
    return engine, events


def kinds(events: list[Any]) -> set[str]:
    return {str(e.type) for e in events}


async def conversation(mode: Any) -> tuple[VoiceEngine, list[Any]]:
    engine, events = mock(mode)
    async with engine:
        await talk(engine, "hello")
        await asyncio.sleep(3)
    return engine, events


async def test_big_tells_everything() -> None:
    engine, events = await conversation("big")
    assert kinds(events) >= EXTRAS
    assert [i.text for i in engine.conversation] == ["hello", "hi how are you"]
    assert engine.get_metrics()["latency"]["first_audible_ms"]["median"] > 0


async def test_fast_tells_only_what_a_call_needs() -> None:
    engine, events = await conversation("fast")
    assert not kinds(events) & EXTRAS
    assert kinds(events) >= {
        "conversation_turn_detected",
        "response_started",
        "text_chunk",
        "audio_chunk",
        "response_completed",
        "audio_output_stopped",
        "state_changed",
        "usage_updated",
    }
    metrics = engine.get_metrics()
    assert (metrics["turns"], metrics["responses"], metrics["latency"]) == (1, 1, {})
    # The log is kept all the same, but the user's words were not asked for.
    assert [(i.role, i.text) for i in engine.conversation] == [
        ("user", ""),
        ("assistant", "hi how are you"),
    ]


async def test_provider_tells_what_the_provider_does_and_no_more() -> None:
    engine, events = await conversation("provider")
    assert kinds(events) >= EXTRAS - {"conversation_updated", "metrics_updated"}
    assert not kinds(events) & {"conversation_updated", "metrics_updated"}
    assert [i.text for i in engine.conversation] == ["hello", "hi how are you"]


@pytest.mark.parametrize(
    ("mode", "words", "speech"),
    [("fast", False, True), ("big", True, True), ("provider", None, None)],
)
async def test_each_asks_the_provider_for_just_that(
    make_engine: MakeEngine, mode: Any, words: bool | None, speech: bool | None
) -> None:
    kind = desk()
    async with make_engine(kind, mode=mode):
        config = kind.made[0].config
        assert (config.transcription, config.partials, config.vad_events) == (words, words, speech)


@pytest.mark.parametrize("mode", ["fast", "big", "provider"])
async def test_the_audio_is_the_same_in_all_modes(mode: Any) -> None:
    _, events = await conversation(mode)
    audio = b"".join(e.audio_data for e in events if e.type == EventType.AUDIO_OUTPUT_CHUNK)
    assert audio == speak("hi how are you", FORMAT)


@pytest.mark.parametrize("mode", ["fast", "big", "provider"])
@pytest.mark.parametrize("stops_itself", [True, False])
async def test_a_caller_can_interrupt_in_all_modes(mode: Any, stops_itself: bool) -> None:
    engine, events = mock(
        mode,
        mock_responses={
            "hello": "one two three four five six seven eight nine ten",
            "stop": "fine",
        },
        capabilities={"self_interrupting": stops_itself},
    )
    async with engine:
        await talk(engine, "hello", 1500)
        assert engine.state == "speaking"
        await talk(engine, "stop", 2000)
        cut, *_ = [i for i in engine.conversation if i.role == "assistant"]
        assert cut.status == "incomplete"
        assert 0 < cut.heard_ms < cut.audio_ms
        assert "one" in cut.text
        assert "ten" not in cut.text
        assert engine.conversation[-1].text == "fine"
    assert "conversation_interrupted" in kinds(events)


async def test_fast_without_anybody_who_listens_is_less_work(make_engine: MakeEngine) -> None:
    """What nobody subscribed to is not made."""
    kind = desk(send_text=lambda p, *_: p.answer("hello"))
    async with make_engine(kind, mode="fast") as engine:
        await engine.send_text("hi")
        assert engine.conversation.on_change is None
