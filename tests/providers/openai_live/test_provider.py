"""The provider against the emulator, which judges both by the vendor's types."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.providers.openai_live.helpers import KEY, Call, calling, emulated, made, until
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import understand
from voxengine.conversation.items import Item
from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    MessageError,
    RateLimitError,
    SessionClosedError,
    UnsupportedFeatureError,
)
from voxengine.providers.openai_live import OpenAILiveProvider
from voxengine.testing.emulators.openai_live import LiveEmulator
from voxengine.testing.emulators.verdict import EmulatorFailed


async def test_a_spoken_turn_is_written_down_and_answered():
    async with (
        emulated({"hello there": "Hi! How can I help?"}) as emulator,
        calling(emulator) as call,
    ):
        await call.speak("hello there")
        await call.wait(ev.ResponseCompleted)
        kinds = [type(e) for e in call.events]
        turn, done = call.of(ev.TurnDetected)[0], call.of(ev.TranscriptCompleted)[0]
        started = call.of(ev.ResponseStarted)[0]
        assert done.text == "hello there"
        assert done.item_id == turn.item_id
        assert kinds.index(ev.TranscriptPartial) < kinds.index(ev.TranscriptCompleted)
        assert kinds.index(ev.TranscriptCompleted) < kinds.index(ev.ResponseStarted)
        assert "".join(e.text for e in call.of(ev.TextOutput)) == "Hi! How can I help?"
        audio = b"".join(e.audio_data for e in call.of(ev.AudioOutputChunk))
        assert understand(audio, AudioFormat("pcm16", 24000)) == "Hi! How can I help?"
        ids = {e.response_id for e in call.of(ev.AudioOutputChunk)}
        assert ids == {started.response_id}
        placed = call.of(ev.TextOutput)
        assert [e.audio_start_ms for e in placed] == sorted(e.audio_start_ms or 0 for e in placed)
        assert placed[0].audio_start_ms == 0
        assert placed[-1].audio_end_ms <= len(audio) / 48  # type: ignore[operator]
        assert len(call.of(ev.TurnDetected)) == len(call.of(ev.ResponseStarted)) == 1


@pytest.mark.parametrize(
    "format",
    [
        AudioFormat("pcm16", 16000),
        AudioFormat("g711_ulaw", 8000),
        AudioFormat("g711_alaw", 8000),
    ],
    ids=str,
)
async def test_audio_is_in_the_wished_format_in_both_directions(format: AudioFormat):
    async with (
        emulated({"go": "I am going"}) as emulator,
        calling(emulator, input_format=format, output_format=format) as call,
    ):
        assert call.provider.get_audio_format() == format
        await call.speak("go")
        await call.wait(ev.ResponseCompleted)
        chunks = call.of(ev.AudioOutputChunk)
        assert {(c.encoding, c.sample_rate) for c in chunks} == {
            (format.encoding, format.sample_rate)
        }
        assert understand(b"".join(c.audio_data for c in chunks), format) == "I am going"


async def test_silence_between_responses_is_not_handed_on_and_ends_them():
    async with (
        emulated({"hello": "Hi!"}, sends_silence=True) as emulator,
        calling(emulator) as call,
    ):
        await call.speak("hello")
        await call.wait(ev.ResponseCompleted)
        chunks = len(call.of(ev.AudioOutputChunk))
        await asyncio.sleep(5)
        assert len(call.of(ev.AudioOutputChunk)) == chunks


async def test_the_model_stops_by_itself_and_answers_anew():
    story = " ".join(f"word{n}" for n in range(40))
    async with (
        emulated({"tell": story, "stop": "Very well."}) as emulator,
        calling(emulator) as call,
    ):
        await call.speak("tell")
        await call.wait(ev.TextOutput, 5)
        await call.speak("stop")
        await call.wait(ev.ResponseCompleted, 2)
        texts: dict[Any, str] = {}
        for event in call.of(ev.TextOutput):
            texts[event.response_id] = texts.get(event.response_id, "") + event.text
        first, second = texts.values()
        assert story.startswith(first)
        assert len(first) < len(story)
        assert second == "Very well."
        assert [t.text for t in call.of(ev.TranscriptCompleted)] == ["tell", "stop"]


async def test_a_nod_does_not_split_what_the_model_says():
    async with (
        emulated({"tell": "one two three four five six", "mhm": ""}, interrupts=False) as emulator,
        calling(emulator) as call,
    ):
        await call.speak("tell")
        await call.wait(ev.TextOutput, 2)
        await call.speak("mhm")
        await call.wait(ev.ResponseCompleted)
        assert len(call.of(ev.ResponseStarted)) == 1
        assert len(call.of(ev.TurnDetected)) == 1
        assert [t.text for t in call.of(ev.TranscriptCompleted)] == ["tell", "mhm"]


async def test_words_that_nobody_answers_are_complete_after_a_pause():
    async with emulated({"hmm": ""}) as emulator, calling(emulator) as call:
        await call.speak("hmm")
        done = await call.wait(ev.TranscriptCompleted)
        assert done.text == "hmm"
        assert not call.of(ev.TurnDetected)
        assert not call.of(ev.ResponseStarted)


async def test_a_task_is_a_call_and_its_result_is_spoken():
    task = {"tool": {"name": "any"}, "then": "The answer: {output}", "text": ""}
    async with emulated({"look it up": task}) as emulator, calling(emulator) as call:
        await call.speak("look it up")
        invoked = await call.wait(ev.FunctionInvoked)
        assert invoked.name == "delegate"
        assert json.loads(invoked.arguments) == {"task": "look it up"}
        assert invoked.response_id == call.of(ev.ResponseStarted)[0].response_id
        await call.provider.send_tool_result(invoked.call_id, "order 7 ships today")
        await call.wait(ev.TextOutput)
        await call.wait(ev.ResponseCompleted)
        text = "".join(e.text for e in call.of(ev.TextOutput))
        assert text == "The answer: order 7 ships today"
        with pytest.raises(MessageError) as again:
            await call.provider.send_tool_result(invoked.call_id, "twice")
        assert again.value.code == "unknown_call"


async def test_of_a_long_result_only_the_end_is_to_be_spoken():
    output = " ".join(f"line{n}" for n in range(500))
    async with (
        emulated({"look": {"tool": {"name": "any"}, "then": "{output}"}}) as emulator,
        calling(emulator) as call,
    ):
        await call.speak("look")
        invoked = await call.wait(ev.FunctionInvoked)
        await call.provider.send_tool_result(invoked.call_id, output)
        await until(lambda: any(c == "commentary" for c, _ in emulator.session.context))
        channels = [channel for channel, _ in emulator.session.context]
        assert channels == ["thinking"] * (len(channels) - 1) + ["commentary"]
        assert len(channels) > 2
        assert "".join(text for _, text in emulator.session.context) == output
        assert all(len(text.encode()) <= 1200 for _, text in emulator.session.context)


async def test_notes_become_instructions_and_are_not_answered():
    async with emulated() as emulator, calling(emulator) as call:
        await call.provider.send_text("The user is in a car.", "system")
        await until(lambda: bool(emulator.session.context))
        assert emulator.session.context == [("instructions", "The user is in a car.")]
        await asyncio.sleep(2)
        assert not call.of(ev.ResponseStarted)


async def test_the_session_is_started_with_the_configuration():
    history = [
        Item(id="1", role="user", text="My name is Ada."),
        Item(id="2", role="assistant", text="Hello Ada."),
        Item(
            id="3", role="assistant", kind="function_call", name="look", arguments="{}", call_id="c"
        ),
        Item(id="4", role="tool", kind="function_output", output="42", call_id="c"),
        Item(id="5", role="system", text="Be kind."),
    ]
    settings = {"voice": "quartz", "instructions": "Be brief.", "session": {"store": True}}
    async with emulated() as emulator:
        provider = made(emulator, **settings)
        await provider.add_conversation_history(history)
        await provider.connect()
        config = emulator.session.config
        assert config is not None
        assert config["model"] == "gpt-live-1"
        assert config["audio"]["output"] == {"voice": "quartz"}
        assert config["instructions"] == "Be brief."
        assert config["store"] is True
        assert [(m["role"], m["content"][0]["text"]) for m in config["input"]] == [
            ("user", "My name is Ada."),
            ("assistant", "Hello Ada."),
            ("developer", "look was called with {}"),
            ("developer", "look returned 42"),
            ("developer", "Be kind."),
        ]
        with pytest.raises(MessageError) as late:
            await provider.add_conversation_history(history)
        assert late.value.code == "history_late"
        await provider.disconnect()


async def test_a_long_history_is_told_from_its_end():
    items = [Item(id=str(n), role="user", text=f"message {n}") for n in range(300)]
    async with emulated() as emulator:
        provider = made(emulator)
        await provider.add_conversation_history(items)
        await provider.connect()
        assert emulator.session.config is not None
        told = [m["content"][0]["text"] for m in emulator.session.config["input"]]
        assert told == [f"message {n}" for n in range(172, 300)]
        await provider.disconnect()


async def test_usage_is_told_as_what_was_added():
    async with emulated(usage_every_s=2.0) as emulator:
        async with calling(emulator) as call:
            await call.wait(ev.UsageUpdated, 3)
            used = await call.provider.get_usage()
            assert used is not None
            assert used["input_audio_seconds"] == pytest.approx(6, abs=0.1)
            assert used["context_usage_ratio"] == 0.1
            await asyncio.sleep(1)
        updates = call.of(ev.UsageUpdated)
        assert [u.input_audio_seconds for u in updates] == pytest.approx([2, 2, 2, 1], abs=0.1)
        assert {u.model for u in updates} == {"gpt-live-1"}
        assert not any(u.output_audio_seconds for u in updates)
        assert [type(e) for e in call.events[-2:]] == [ev.UsageUpdated, ev.ConnectionClosed]


@pytest.mark.parametrize(
    ("what", "act"),
    [
        ("words of the user", lambda p: p.send_text("Hello")),
        ("words of the assistant", lambda p: p.send_text("Hello", "assistant")),
        ("a response on request", lambda p: p.create_response()),
        ("speaking a given text", lambda p: p.generate_tts("Hello")),
        ("truncation", lambda p: p.truncate_item("item", 100, "")),
        ("turns that the application ends", lambda p: p.commit_audio()),
        ("throwing away input audio", lambda p: p.clear_audio()),
        ("deleting items", lambda p: p.delete_item("item")),
        ("a change of voice", lambda p: p.update_session(voice="ash")),
    ],
)
async def test_what_the_api_cannot_do_is_refused(what: str, act: Any):
    async with emulated() as emulator, calling(emulator) as call:
        with pytest.raises(UnsupportedFeatureError, match=what):
            await act(call.provider)


async def test_only_a_response_under_way_cannot_be_called_off():
    async with emulated({"tell": "a b c d e f g h"}) as emulator, calling(emulator) as call:
        await call.provider.interrupt()
        await call.speak("tell")
        await call.wait(ev.TextOutput)
        with pytest.raises(UnsupportedFeatureError, match="calling off"):
            await call.provider.interrupt()


async def test_transcripts_can_be_switched_off_and_on():
    async with (
        emulated({"one": "first", "two": "second"}) as emulator,
        calling(emulator, transcription=False) as call,
    ):
        await call.speak("one")
        await call.wait(ev.ResponseCompleted)
        assert call.of(ev.TurnDetected)
        assert not call.of(ev.TranscriptPartial)
        assert not call.of(ev.TranscriptCompleted)
        await call.provider.update_session(transcription=True, partials=False)
        assert call.of(ev.SessionUpdated)[0].settings == {
            "transcription": True,
            "partials": False,
        }
        await call.speak("two")
        await call.wait(ev.TranscriptCompleted)
        assert not call.of(ev.TranscriptPartial)


async def test_the_vendors_own_words_pass():
    async with emulated() as emulator, calling(emulator) as call:
        await call.provider.send_event({"type": "session.input_audio.mute"})
        await until(lambda: bool(emulator.session.events[1:]))
        assert emulator.session.events[-1]["type"] == "session.input_audio.mute"
        for bad in ({}, {"type": "x", "y": object()}):
            with pytest.raises(MessageError):
                await call.provider.send_event(bad)


async def test_the_model_may_speak_first():
    async with emulated(greeting="Good morning!") as emulator, calling(emulator) as call:
        await call.wait(ev.ResponseCompleted)
        assert "".join(e.text for e in call.of(ev.TextOutput)) == "Good morning!"
        assert not call.of(ev.TurnDetected)


async def test_a_task_that_the_vendor_does_itself_is_passed_on():
    async with emulated() as emulator, calling(emulator) as call:
        task = {"id": "task_9", "type": "delegation", "target": "responses"}
        emulator.session.tell("session.delegation.created", offset_ms=0, delegation=task)
        raw = await call.wait(ev.RawEvent)
        assert (raw.name, raw.payload["delegation"]) == ("session.delegation.created", task)
        assert not call.of(ev.FunctionInvoked)


async def test_an_emulator_that_breaks_the_protocol_says_so():
    with pytest.raises(EmulatorFailed, match=r"session\.mood: type: unknown"):
        async with LiveEmulator() as emulator, calling(emulator):
            emulator.session.tell("session.mood")


async def test_what_is_not_emulated_is_an_error_and_muted_audio_is_not_heard():
    async with emulated({"hello": "Hi!"}) as emulator, calling(emulator) as call:
        await call.provider.send_event({"type": "response.create"})
        assert (await call.wait(ev.ErrorGeneral)).code == "unsupported"
        await call.provider.send_event({"type": "session.input_audio.mute"})
        await call.speak("hello")
        assert not call.of(ev.TranscriptPartial)
        await call.provider.send_event({"type": "session.input_audio.unmute"})
        await call.speak("hello")
        await call.wait(ev.ResponseCompleted)


# -- trouble


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ("refuse:auth", AuthenticationError, "auth"),
        ("refuse:rate_limit", RateLimitError, "rate_limit"),
        ("refuse:quota", RateLimitError, "quota"),
        ("refuse:server_error", ConnectionError, "server"),
        ("refuse:refused", ConnectionError, None),
        ("flap", ConnectionError, None),
    ],
)
async def test_a_refused_connection_is_a_typed_error(
    fault: str, error: type[Exception], code: str | None
):
    async with emulated(faults=fault) as emulator:
        call = Call(made(emulator))
        with pytest.raises(error) as caught:
            await call.provider.connect()
        assert code in (None, caught.value.code)  # type: ignore[attr-defined]
        assert KEY not in str(caught.value)
        assert [type(e) for e in call.events] == [ev.ConnectionStarting, ev.ConnectionFailed]
        await call.provider.disconnect()


async def test_a_wrong_key_is_refused():
    async with emulated(key="sk-other") as emulator:
        with pytest.raises(AuthenticationError):
            await made(emulator).connect()


async def test_refused_settings_are_a_typed_error():
    async with emulated() as emulator:
        provider = made(emulator, session={"surprise": 1})
        with pytest.raises(MessageError, match=r"session\.surprise: unknown field"):
            await provider.connect()
        await provider.disconnect()
        assert (
            emulator.judge.violations.pop()
            == "client session.start: session.surprise: unknown field"
        )


async def test_a_server_that_starts_no_session_is_given_up():
    async with emulated(faults="stall:after_s=0") as emulator:
        with pytest.raises(ConnectionError) as caught:
            await made(emulator, connect_timeout=3.0).connect()
        assert caught.value.code == "timeout"


@pytest.mark.parametrize(
    ("fault", "code", "close_code"),
    [
        ("drop:close_code=1011,after_chunks=3", "closed", 1011),
        ("drop:after_chunks=3", "closed", None),
        ("expire:after_chunks=3", "session_expired", None),
    ],
)
async def test_a_connection_that_is_lost_in_an_answer(
    fault: str, code: str, close_code: int | None
):
    async with emulated({"tell": "a b c d e f g h"}, faults=fault) as emulator:
        async with calling(emulator) as call:
            await call.speak("tell", then_ms=600)
            lost = await call.wait(ev.ConnectionLost)
            assert (lost.code, lost.close_code, lost.retryable) == (code, close_code, True)
            assert (
                call.of(ev.ResponseError)[0].response_id
                == call.of(ev.ResponseStarted)[0].response_id
            )
            assert not call.of(ev.ResponseCompleted)
            with pytest.raises(ConnectionError):
                await call.provider.send_audio(bytes(960))
        assert len(call.of(ev.ConnectionLost)) == 1


async def test_a_stalled_answer_ends():
    async with (
        emulated({"tell": "a b c d e f g h"}, faults="stall:after_chunks=5") as emulator,
        calling(emulator) as call,
    ):
        await call.speak("tell")
        await call.wait(ev.ResponseCompleted)
        assert len(call.of(ev.AudioOutputChunk)) == 5


async def test_what_is_unknown_or_malformed_does_no_harm():
    faults = [
        "unknown_event:after_chunks=1",
        "malformed:after_chunks=2",
        {
            "fault": "malformed",
            "after_chunks": 3,
            "text": '{"type": "session.output_audio.delta", "delta": "?"}',
        },
        {
            "fault": "malformed",
            "after_chunks": 4,
            "text": '{"type": "session.usage.updated", "usage": 5}',
        },
        "error_once:after_chunks=5",
    ]
    async with (
        emulated({"tell": "a b c d e f g h"}, faults=faults) as emulator,
        calling(emulator) as call,
    ):
        await call.speak("tell")
        await call.wait(ev.ResponseCompleted)
        assert [(e.name, e.payload["mood"]) for e in call.of(ev.RawEvent)] == [
            ("response.mood.updated", "sunny")
        ]
        errors = call.of(ev.ErrorGeneral)
        assert [e.code for e in errors] == ["bad_message"] * 3 + ["server"]
        assert all(e.recoverable for e in errors)
        assert "".join(e.text for e in call.of(ev.TextOutput)) == "a b c d e f g h"


async def test_a_session_that_expires_by_itself_is_lost():
    async with emulated(session_s=30.0) as emulator, calling(emulator) as call:
        lost = await call.wait(ev.ConnectionLost)
        assert lost.code == "session_expired"
        assert sum(u.input_audio_seconds for u in call.of(ev.UsageUpdated)) == pytest.approx(
            30, abs=0.1
        )


async def test_disconnecting_during_an_answer_ends_it():
    async with emulated({"tell": "a b c d e f g h"}) as emulator:
        async with calling(emulator) as call:
            await call.speak("tell")
            await call.wait(ev.TextOutput)
            await asyncio.gather(call.provider.disconnect(), call.provider.disconnect())
        assert len(call.of(ev.ResponseCancelled)) == len(call.of(ev.ConnectionClosed)) == 1
        assert isinstance(call.events[-1], ev.ConnectionClosed)
        assert emulator.session.events[-1] == {"type": "session.close"}
        with pytest.raises(SessionClosedError):
            await call.provider.connect()


# -- configuration


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"api_key": None}, "api_key"),
        ({"turn_detection": "none"}, "turn_detection"),
        ({"turn_detection": "server_vad"}, "turn_detection"),
        ({"modalities": ["text"]}, "text alone"),
        ({"endpoint": "ftp://x"}, "endpoint"),
        ({"session": [1]}, "session"),
        ({"input_format": "pcm"}, "input_format"),
    ],
)
def test_a_wrong_configuration_is_refused(
    settings: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match=words):
        OpenAILiveProvider({"api_key": KEY, **settings})


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/live/sessions"])
async def test_an_endpoint_may_leave_out_its_path(path: str):
    async with emulated() as emulator:
        base = emulator.endpoint.removesuffix("/v1/live/sessions")
        provider = made(emulator, endpoint=base + path)
        await provider.connect()
        await provider.disconnect()
        assert len(emulator.sessions) == 1


async def test_what_cannot_be_done_as_it_stands_is_told():
    tools = [{"name": "get_weather", "description": "", "parameters": {"type": "object"}}]
    async with (
        emulated() as emulator,
        calling(emulator, temperature=0.5, voice="eve", tools=tools) as call,
    ):
        codes = [e.code for e in call.of(ev.SystemWarning)]
        assert codes == ["temperature_ignored", "voice_mapped", "tools_not_offered"]
