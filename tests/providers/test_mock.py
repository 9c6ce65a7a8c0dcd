"""The mock: exact in time, in what it says, and in what it remembers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import understand
from voxengine.conversation import Item
from voxengine.errors import (
    ConfigurationError,
    ConnectionError,
    MessageError,
    SessionClosedError,
    UnsupportedFeatureError,
)
from voxengine.providers import EventType, MessageType, create_provider
from voxengine.providers.mock import MockConfig, MockProvider
from voxengine.testing import advance, run

from .mock_helpers import Record, connected, say

WEATHER = {"name": "get_weather", "arguments": {"city": "Paris"}}


# --- time


async def test_every_event_comes_at_its_time():
    provider, record = await connected(
        mock_responses={"Hello": "One two"},
        latency_ms={"connect": 50, "first": 200, "network": 10, "chunk": 5},
    )
    assert asyncio.get_running_loop().time() == 0.05
    await provider.send_text("Hello")
    await advance(5)
    # 200 ms to the first chunk, then 100 ms of audio at 4 times its pace and 5 ms more each, all 10 ms late.
    chunks = [0.05 + 0.21 + k * 0.030 for k in range(7)]
    assert record.at(ev.AudioOutputChunk) == pytest.approx(chunks, abs=1e-9)
    assert record.at(ev.ResponseStarted) == pytest.approx([0.06], abs=1e-9)
    assert record.at(ev.TextOutput) == pytest.approx([chunks[0], chunks[3]], abs=1e-9)
    assert record.at(ev.ResponseCompleted) == pytest.approx([chunks[6]], abs=1e-9)
    await provider.disconnect()


def test_the_same_input_gives_the_same_events_at_the_same_times():
    async def main() -> list[Any]:
        provider, record = await connected(error_rate=0.3, seed=7, simulate_latency=True)
        for text in ("one", "two", "three", "four"):
            await provider.send_text(text)
            await advance(2)
        await say(provider, "hello there")
        await advance(2)
        await provider.disconnect()
        return [record.times, record.events]

    first = run(main())
    assert first == run(main())
    assert len(first[0]) > 50


async def test_audio_at_once():
    provider, record = await connected(realtime_factor=float("inf"))
    await provider.send_text("Hello")
    await advance(0)
    assert record.of(ev.ResponseCompleted)
    assert set(record.times) == {0.0}
    await provider.disconnect()


async def test_events_never_come_within_the_call_that_causes_them():
    provider, record = await connected()
    await provider.send_text("Hello")
    assert record.types == []
    await provider.interrupt()
    assert record.types == []
    await advance(1)
    assert record.types == ["response_started", "raw", "usage_updated", "response_cancelled"]
    await provider.disconnect()


# --- answers


async def test_a_reply_in_full():
    provider, record = await connected(mock_responses={"Hello": "Hi there! How can I help?"})
    await provider.send_text("Hello")
    await advance(5)
    assert "".join(e.text for e in record.of(ev.TextOutput)) == "Hi there! How can I help?"
    assert [e.is_partial for e in record.of(ev.TextOutput)] == [True] * 5 + [False]
    speech = b"".join(e.audio_data for e in record.of(ev.AudioOutputChunk))
    assert understand(speech, AudioFormat()) == "Hi there! How can I help?"
    assert record.types[:3] == ["response_started", "raw", "timing_stage"]
    assert record.types[-2:] == ["usage_updated", "response_completed"]
    await provider.disconnect()


async def test_words_are_spoken_exactly_where_they_are_said_to_be():
    provider, record = await connected(mock_responses={"Hello": "Hi there! How can I help?"})
    await provider.send_text("Hello")
    await advance(5)
    speech = b"".join(e.audio_data for e in record.of(ev.AudioOutputChunk))
    words = record.of(ev.TextOutput)
    for i, word in enumerate(words):
        assert word.audio_start_ms is not None
        assert word.audio_end_ms is not None
        whole = speech[: AudioFormat().n_bytes(word.audio_end_ms)]
        said = "".join(w.text for w in words[: i + 1])
        assert understand(whole, AudioFormat()) == said
        assert (
            understand(whole[: -AudioFormat().n_bytes(10)], AudioFormat())
            == said.rpartition(" ")[0]
        )
    await provider.disconnect()


@pytest.mark.parametrize("encoding", ["pcm16", "g711_ulaw", "g711_alaw"])
async def test_it_speaks_in_the_format_that_is_asked_for(encoding):
    format = AudioFormat(encoding, 8000)
    provider, record = await connected(output_format=format)
    await provider.send_text("telephone")
    await advance(5)
    chunks = record.of(ev.AudioOutputChunk)
    assert {(c.encoding, c.sample_rate) for c in chunks} == {(encoding, 8000)}
    assert understand(b"".join(c.audio_data for c in chunks), format) == "You said: telephone"
    await provider.disconnect()


async def test_responses_follow_each_other():
    provider, record = await connected()
    for text in ("one", "two"):
        await provider.send_text(text)
    await advance(5)
    kinds = [t for t in record.types if t in ("response_started", "response_completed")]
    assert kinds == ["response_started", "response_completed"] * 2
    await provider.send_text("three")
    with pytest.raises(MessageError) as refused:
        await provider.create_response()
    assert refused.value.code == "response_active"
    assert refused.value.provider == "mock"
    await provider.disconnect()


async def test_a_response_on_request():
    provider, record = await connected(
        mock_responses={"Say goodbye": "Goodbye"}, greeting="Welcome"
    )
    await provider.create_response()
    await advance(3)
    await provider.create_response(instructions="Say goodbye")
    await advance(3)
    await provider.create_response(["text"])
    await advance(3)
    assert "".join(e.text for e in record.of(ev.TextOutput)) == "WelcomeGoodbyeWelcome"
    await provider.disconnect()


async def test_text_alone():
    provider, record = await connected(modalities=["text"])
    await provider.send_text("Hello you")
    await advance(3)
    assert not record.of(ev.AudioOutputChunk)
    assert [e.audio_start_ms for e in record.of(ev.TextOutput)] == [None] * 4
    await provider.disconnect()


async def test_a_limit_of_words_leaves_the_response_incomplete():
    provider, record = await connected(max_response_tokens=2)
    await provider.send_text("Hello you")
    await advance(3)
    (end,) = record.of(ev.ResponseCompleted)
    assert (end.status, end.reason) == ("incomplete", "max_output_tokens")
    assert "".join(e.text for e in record.of(ev.TextOutput)) == "You said:"
    await provider.disconnect()


async def test_errors_come_at_their_rate():
    provider, record = await connected(error_rate=0.5, seed=1, realtime_factor=float("inf"))
    for _ in range(200):
        await provider.send_text("again")
        await advance(0.1)
    failed = record.of(ev.ResponseError)
    assert 80 < len(failed) < 120
    assert {e.code for e in failed} == {"mock_error"}
    assert len(failed) + len(record.of(ev.ResponseCompleted)) == 200
    await provider.disconnect()


# --- interruption


async def test_interrupting_stops_everything_at_once():
    provider, record = await connected()
    await provider.send_text("a long sentence of many words")
    await advance(0.2)
    sent = len(record.of(ev.AudioOutputChunk))
    await provider.interrupt()
    await advance(5)
    assert len(record.of(ev.AudioOutputChunk)) == sent
    assert record.types[-1] == "response_cancelled"
    (entry,) = [e for e in provider.memory.entries if e.role == "assistant"]
    assert entry.audio_ms == sent * 100
    assert entry.text == "You said: a"
    await provider.truncate_item(entry.id, 500, "You")
    assert provider.get_message_history()[-1]["text"] == "You"
    await provider.disconnect()


@pytest.mark.parametrize(
    ("item", "heard_ms", "code"),
    [
        ("mine", 900.0, "truncate_range"),
        ("mine", -1.0, "truncate_range"),
        ("other", 1.0, "item_not_found"),
    ],
)
async def test_truncating_is_checked_as_a_vendor_does(item, heard_ms, code):
    provider, record = await connected(mock_responses=["Hi"], ms_per_word=800)
    await provider.send_text("Hello")
    await advance(2)
    item_id = record.of(ev.TextOutput)[0].item_id if item == "mine" else "other"
    with pytest.raises(MessageError) as refused:
        await provider.truncate_item(str(item_id), heard_ms, "")
    assert refused.value.code == code
    await provider.disconnect()


# --- tools


async def test_a_tool_and_its_result():
    provider, record = await connected(
        mock_responses={
            "Weather?": {"text": "Let me see.", "tool": WEATHER, "then": "It is {output}."}
        }
    )
    await provider.send_text("Weather?")
    await advance(3)
    (call,) = record.of(ev.FunctionInvoked)
    assert (call.name, call.arguments) == ("get_weather", '{"city": "Paris"}')
    await provider.send_tool_result(call.call_id, "sunny")
    await advance(3)
    assert "".join(e.text for e in record.of(ev.TextOutput)) == "Let me see.It is sunny."
    with pytest.raises(MessageError, match="is waiting") as refused:
        await provider.send_tool_result(call.call_id, "again")
    assert refused.value.code == "unknown_call"
    await provider.disconnect()


@pytest.mark.parametrize("continues", [True, False])
async def test_tools_in_parallel_are_answered_together(continues):
    provider, record = await connected(
        mock_responses={"go": {"tools": ["a", "b"], "then": "Got {output}"}},
        capabilities={"continues_after_tool": continues},
    )
    await provider.send_text("go")
    await advance(1)
    a, b = record.of(ev.FunctionInvoked)
    await provider.send_tool_result(b.call_id, "2")
    await advance(1)
    assert not record.of(ev.TextOutput)
    await provider.send_tool_result(a.call_id, "1")
    await advance(1)
    if not continues:
        assert not record.of(ev.TextOutput)
        await provider.create_response()
        await advance(1)
    assert "".join(e.text for e in record.of(ev.TextOutput)) == "Got 1, 2"
    await provider.disconnect()


async def test_one_tool_at_a_time():
    provider, record = await connected(
        mock_responses={"go": {"tools": ["a", "b"], "then": "Done {output}"}},
        capabilities={"parallel_tools": False},
    )
    await provider.send_text("go")
    for n, name in enumerate(("a", "b"), 1):
        await advance(1)
        calls = record.of(ev.FunctionInvoked)
        assert (len(calls), calls[-1].name) == (n, name)
        await provider.send_tool_result(calls[-1].call_id, name)
    await advance(1)
    assert "".join(e.text for e in record.of(ev.TextOutput)) == "Done b"
    await provider.disconnect()


async def test_calls_are_called_off_when_the_user_barges_in():
    provider, record = await connected(mock_responses={"go": {"tool": "slow"}}, cancels_tools=True)
    await provider.send_text("go")
    await advance(1)
    await say(provider, "never mind")
    (call,), (cancelled,) = record.of(ev.FunctionInvoked), record.of(ev.FunctionCancelled)
    assert cancelled.call_id == call.call_id
    await provider.disconnect()


# --- session


async def test_settings_are_acknowledged_and_secrets_masked():
    provider, record = await connected()
    await provider.update_session(voice="tenor", api_key="sk-secret")
    await advance(0)
    (updated,) = record.of(ev.SessionUpdated)
    assert updated.settings == {"voice": "tenor", "api_key": "***"}
    assert provider.config.voice == "tenor"
    with pytest.raises(ConfigurationError, match="turn_detection"):
        await provider.update_session(turn_detection="psychic", voice="alto")
    assert provider.config.voice == "tenor"
    await provider.disconnect()


def items(n: int) -> list[Item]:
    return [Item(id=f"old_{i}", role="user", text="x" * 10, status="completed") for i in range(n)]


async def test_history_is_remembered():
    provider, _ = await connected()
    await provider.add_conversation_history(items(2))
    assert [m["id"] for m in provider.get_message_history()] == ["old_0", "old_1"]
    await provider.disconnect()


async def test_history_comes_at_the_point_that_is_stated():
    early = MockProvider(MockConfig(capabilities={"history": "at_start"}))
    await early.add_conversation_history(items(1))
    await early.connect()
    late, _ = await connected(capabilities={"history": "before_audio"})
    await late.add_conversation_history(items(1))
    await late.send_audio(bytes(960))
    for provider in (early, late):
        with pytest.raises(MessageError) as refused:
            await provider.add_conversation_history(items(1))
        assert refused.value.code == "history_late"
        await provider.disconnect()


@pytest.mark.parametrize("limit", [{"history_max_items": 2}, {"history_max_bytes": 25}])
async def test_too_much_history_is_refused(limit):
    provider, _ = await connected(capabilities=limit)
    await provider.add_conversation_history(items(2))
    with pytest.raises(MessageError) as refused:
        await provider.add_conversation_history(items(3))
    assert refused.value.code == "history_too_long"
    await provider.disconnect()


async def test_all_that_was_sent_is_recorded():
    provider, _ = await connected()
    await advance(1.5)
    await provider.send_audio(bytes(960))
    await provider.send_message(MessageType.CONVERSATION_ITEM_CREATE, {"text": "Hello"})
    await provider.send_event({"type": "vendor.thing"})
    assert provider.received_audio == bytes(960)
    assert provider.history[1:] == [
        (1.5, "send_audio", (960,)),
        (1.5, "send_text", ("Hello", "user")),
        (1.5, "send_event", ({"type": "vendor.thing"},)),
    ]
    assert provider.calls("send_text") == [("Hello", "user")]
    await provider.disconnect()


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("seconds", {"input_audio_seconds": 0.0, "output_audio_seconds": 0.7}),
        ("characters", {"characters": 7}),
        (
            "tokens",
            {
                "input_text_tokens": 2,
                "input_audio_tokens": 0,
                "output_text_tokens": 2,
                "output_audio_tokens": 14,
            },
        ),
    ],
)
async def test_usage_in_the_stated_unit(unit, expected):
    provider, record = await connected(
        mock_responses=["One two"], capabilities={"usage_unit": unit}, price_per_minute=0.6
    )
    await provider.send_text("Hello")
    await advance(2)
    (used,) = record.of(ev.UsageUpdated)
    assert {k: used.data[k] for k in expected} == pytest.approx(expected)
    assert await provider.get_usage() == pytest.approx({"model": "mock", **expected})
    assert await provider.estimate_cost() == pytest.approx(0.7 / 60 * 0.6)
    await provider.disconnect()


# --- connection


async def test_states_of_the_connection():
    provider = MockProvider()
    record = Record(provider)
    with pytest.raises(ConnectionError) as refused:
        await provider.send_text("Hello")
    assert refused.value.code == "not_connected"
    assert await provider.connect()
    assert await provider.connect()
    await provider.disconnect()
    await provider.disconnect()
    assert record.types == ["connection_starting", "connection_established", "connection_closed"]
    with pytest.raises(SessionClosedError):
        await provider.connect()
    with pytest.raises(ConnectionError) as refused:
        await provider.send_audio(b"")
    assert refused.value.code == "closed"


async def test_a_response_under_way_ends_with_the_connection():
    provider, record = await connected()
    await provider.send_text("Hello")
    await advance(0.1)
    await provider.disconnect()
    assert record.types[-2:] == ["response_cancelled", "connection_closed"]
    assert provider.state == "disconnected"


async def test_disconnecting_while_connecting():
    provider = MockProvider(MockConfig(latency_ms={"connect": 100}))
    opening = asyncio.create_task(provider.connect())
    await advance(0.05)
    await provider.disconnect()
    with pytest.raises(SessionClosedError):
        await opening


async def test_the_longest_time_of_a_session():
    provider, record = await connected(capabilities={"max_connection_seconds": 480})
    await advance(479)
    assert provider.is_connected
    await advance(1)
    (lost,) = record.of(ev.ConnectionLost)
    assert (lost.code, record.times[-1]) == ("session_expired", 480.0)
    await provider.disconnect()


async def test_ids_are_unique_where_mocks_meet():
    one, first = await connected()
    two, second = await connected()
    for provider in (one, two):
        await provider.send_text("Hello")
    await advance(2)
    ids = [{e.item_id for e in record.of(ev.TextOutput)} for record in (first, second)]
    assert not ids[0] & ids[1]
    assert (one.session_id, two.session_id) == ("mock_1", "mock_2")
    await one.disconnect()
    await two.disconnect()


# --- by hand


async def test_a_test_may_let_it_say_anything():
    provider, record = await connected()
    provider.emit_speech_started("u1", 100.0)
    provider.emit_partial("go", "u1")
    provider.emit_speech_ended("u1", 600.0, lag_ms=500)
    provider.emit_turn("u1")
    provider.emit_transcript("go on", "u1")
    provider.emit_response_started("r1")
    provider.emit_text("Fine", "a1", "r1")
    provider.emit_audio(40, "a1", "r1")
    provider.emit_tool_call("stop", item_id="a2", response_id="r1")
    provider.emit_response_completed("r1")
    provider.tell(EventType.SYSTEM_WARNING, message="by type")
    await advance(0)
    assert record.types == [
        "vad_speech_started",
        "transcript_partial",
        "vad_speech_ended",
        "conversation_turn_detected",
        "transcript_completed",
        "response_started",
        "text_chunk",
        "audio_chunk",
        "function_invoked",
        "response_completed",
        "warning",
    ]
    await provider.disconnect()


async def test_errors_by_hand():
    provider, record = await connected()
    provider.simulate_error("server_error")
    await provider.send_text("Hello")
    await advance(0.1)
    provider.simulate_error("overloaded", "too many calls")
    await advance(0.1)
    provider.simulate_error("rate_limit")
    await advance(0.1)
    general, failed, limit = (e for e in record.events if e.is_error)
    assert isinstance(general, ev.ErrorGeneral)
    assert isinstance(failed, ev.ResponseError)
    assert (failed.code, failed.error) == ("overloaded", "too many calls")
    assert type(limit.data["error"]).__name__ == "RateLimitError"
    provider.simulate_error("closed")
    assert record.types[-1] == "connection_lost"
    await provider.disconnect()


# --- configuration


def test_settings_by_keyword_and_in_metadata_are_the_same():
    for config in (
        MockConfig(chunk_ms=40, capabilities={"say": False}),
        MockConfig(metadata={"chunk_ms": 40, "capabilities": {"say": False}}),
        {"chunk_ms": 40, "capabilities": {"say": False}},
    ):
        provider = create_provider("mock", config)
        assert isinstance(provider, MockProvider)
        assert provider.settings.chunk_ms == 40
        assert not provider.supports_feature("say")
        assert provider.supports_feature("cancel")


@pytest.mark.parametrize(
    "config",
    [
        {"chunk_ms": 0},
        {"realtime_factor": -1},
        {"error_rate": 2},
        {"latency_ms": {"lunch": 5}},
        {"latency_ms": "slow"},
        {"capabilities": {"flying": True}},
        {"capabilities": {"tools": "yes"}},
        {"capabilities": 5},
        {"faults": "earthquake"},
        {"faults": [{"fault": "drop", "when": 3}]},
        {"mock_responses": {"Hello": {"words": "Hi"}}},
        {"mock_responses": {"Hello": 5}},
        {"turn_detection": "psychic"},
        {"modalities": ["text"], "capabilities": {"text_output": False}},
    ],
)
def test_what_makes_no_sense_is_refused_at_once(config):
    with pytest.raises((ConfigurationError, UnsupportedFeatureError)):
        MockProvider(config)


def test_a_setting_that_does_not_exist_is_refused_with_a_hint():
    with pytest.raises(ConfigurationError, match="'mock_responses'"):
        MockConfig(mock_response={})
