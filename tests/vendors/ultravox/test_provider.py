"""The provider against the emulated Ultravox."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import pytest

from tests.vendors.line import ANSWERS, BEFORE, LOOK, Line, Stand
from voxengine import events as ev
from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    MessageError,
    MissingDependencyError,
    ProviderError,
    RateLimitError,
    UnsupportedFeatureError,
)
from voxengine.providers.ultravox import UltravoxProvider
from voxengine.testing.emulators.faults import Drop, Expire, LateAudio, Refuse
from voxengine.testing.emulators.ultravox import UltravoxEmulator

KEY = "ultravox-secret"
SCRIPT = {**ANSWERS, "good morning": "Good morning to you"}

STAND = Stand(UltravoxEmulator, UltravoxProvider, key=KEY, answers=SCRIPT)
agent, made = STAND.agent, STAND.made


@pytest.mark.parametrize("rate", [24000, 8000])
async def test_a_spoken_turn(rate: int):
    formats = UltravoxProvider.capabilities.input_formats
    format = next(f for f in formats if f.sample_rate == rate)
    async with agent({"input_format": format, "output_format": format}) as (emulator, line):
        await line.say("good morning")
        await line.wait(ev.ResponseCompleted)
        (turn,) = line.of(ev.TurnDetected)
        (words,) = line.of(ev.TranscriptCompleted)
        assert (words.text, words.item_id) == ("good morning", turn.item_id)
        assert len(line.of(ev.VadSpeechStarted)) == len(line.of(ev.VadSpeechEnded)) == 1
        assert line.said() == line.sound() == SCRIPT["good morning"]
        assert {chunk.sample_rate for chunk in line.of(ev.AudioOutputChunk)} == {rate}
        assert emulator.session.request.headers.get("x-api-key") is None


async def test_the_user_interrupts():
    async with agent(faults=LateAudio(after_chunks=1)) as (emulator, line):
        await line.provider.send_text("tell me more")
        await line.wait(ev.AudioOutputChunk, 3)
        await asyncio.sleep(1)
        await line.say("good morning")
        cancelled = await line.wait(ev.ResponseCancelled)
        assert cancelled.reason == "turn_detected"
        completed = await line.wait(ev.ResponseCompleted)
        assert completed.response_id != cancelled.response_id
        after = line.events[line.events.index(cancelled) + 1 :]
        assert cancelled.response_id not in {getattr(e, "response_id", None) for e in after}
        # What was heard is known there: far less than was sent.
        heard = emulator.session.model.memory[1][1]
        assert SCRIPT["tell me more"].startswith(heard)
        assert len(heard.split()) < len("".join(e.text for e in line.of(ev.TextOutput)).split())


async def test_the_user_interrupts_what_is_only_played():
    async with agent(pace=100.0) as (emulator, line):
        await line.provider.send_text("tell me more")
        await line.wait(ev.ResponseCompleted)
        await line.say("good morning")
        await line.wait(ev.ResponseCompleted, 2)
        assert line.of(ev.ResponseCancelled) == []
        assert len(emulator.session.model.memory[1][1].split()) < 10


async def test_we_interrupt():
    async with agent() as (emulator, line):
        await line.provider.interrupt()
        assert emulator.session.events == []
        await line.provider.send_text("tell me more")
        await line.wait(ev.AudioOutputChunk, 3)
        await line.provider.interrupt()
        (cancelled,) = line.of(ev.ResponseCancelled)
        assert cancelled.reason == "client_cancelled"
        await asyncio.sleep(3)
        assert len(line.of(ev.ResponseStarted)) == 1
        assert line.of(ev.VadSpeechStarted) == []
        # Before a word of the answer has come, too.
        await line.provider.send_text("tell me more")
        await line.provider.interrupt()
        await asyncio.sleep(3)
        assert len(line.of(ev.ResponseStarted)) == 1
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        assert line.said().endswith(SCRIPT["good morning"])


async def test_a_tool():
    async with agent({"tools": [LOOK]}) as (_, line):
        await line.provider.send_text("look it up")
        call = await line.wait(ev.FunctionInvoked)
        assert (call.name, json.loads(call.arguments)) == ("look", {"what": "it"})
        await line.wait(ev.ResponseCompleted)
        await line.provider.send_tool_result(call.call_id, "a book")
        await line.wait(ev.ResponseCompleted, 2)
        assert line.said() == "found a book"
        with pytest.raises(MessageError) as refused:
            await line.provider.send_tool_result(call.call_id, "again")
        assert refused.value.code == "unknown_call"


async def test_an_earlier_conversation():
    async with agent(history=BEFORE) as (emulator, line):
        memory = emulator.session.model.memory
        assert memory == [("user", "My name is Ada."), ("assistant", "Hello Ada, how")]
        assert line.of(ev.ResponseStarted) == []
        with pytest.raises(MessageError) as late:
            await line.provider.add_conversation_history(BEFORE)
        assert late.value.code == "history_late"


async def test_a_call_is_resumed():
    async with agent() as (emulator, line):
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        handle = line.provider.resume_handle
        await line.provider.disconnect()
        await asyncio.sleep(0.1)
        assert emulator.session.events[-1] == {"type": "hang_up"}
        again = Line(made(emulator, {"resume": handle}))
        await again.provider.add_conversation_history(BEFORE)
        await again.provider.connect()
        assert again.provider.resumed
        assert again.provider.session_id not in (None, handle)
        assert emulator.session.model.memory[0] == ("user", "good morning")
        assert "initialMessages" not in emulator.session.config
        await again.provider.disconnect()


async def test_a_call_that_is_not_known_any_more_begins_anew():
    async with UltravoxEmulator(SCRIPT, key=KEY) as emulator:
        line = Line(made(emulator, {"resume": "long-ago"}))
        await line.provider.add_conversation_history(BEFORE)
        await line.provider.connect()
        assert not line.provider.resumed
        assert len(line.of(ev.ConnectionEstablished)) == 1
        assert emulator.session.model.memory[0] == ("user", "My name is Ada.")
        await line.provider.disconnect()


async def test_notes_and_answers_that_are_asked_for():
    async with agent() as (emulator, line):
        await line.provider.send_text("The user is in a car.", "system")
        await asyncio.sleep(2)
        assert line.of(ev.ResponseStarted) == []
        assert emulator.session.model.memory == [("system", "The user is in a car.")]
        await line.provider.create_response(instructions="good morning")
        await line.wait(ev.ResponseCompleted)
        assert line.said() == SCRIPT["good morning"]
        await line.provider.generate_tts("The red fox.")
        await line.wait(ev.ResponseCompleted, 2)
        assert line.said().endswith("The red fox.")
        with pytest.raises(UnsupportedFeatureError):
            await line.provider.create_response(["text"])
        with pytest.raises(UnsupportedFeatureError):
            await line.provider.send_text("I said that.", "assistant")


async def test_what_can_be_changed():
    async with agent() as (_, line):
        await line.provider.update_session(modalities=["text"])
        assert line.of(ev.SessionUpdated)[0].settings == {"modalities": ["text"]}
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        assert line.of(ev.AudioOutputChunk) == []
        assert line.said() == SCRIPT["good morning"]
        with pytest.raises(UnsupportedFeatureError):
            await line.provider.update_session(instructions="Be brief.")


async def test_another_call_takes_the_place_of_one_that_nobody_has_used():
    async with agent({"instructions": "Be long."}, history=BEFORE) as (emulator, line):
        first = line.provider.resume_handle
        await line.provider.update_session(instructions="Be brief.", tools=[LOOK], voice="Jessica")
        assert len(emulator.sessions) == 2
        assert emulator.sessions[0].events == [{"type": "hang_up"}]
        model = emulator.session.model
        assert model.instructions.startswith("Be brief.")
        assert (model.tools, model.voice_name) == (["look"], "Jessica")
        assert model.memory[0] == ("user", "My name is Ada.")
        assert line.provider.resume_handle not in (None, first)
        assert line.provider.session_id == first
        # One that cannot be created leaves all as it was.
        await emulator.refuse()
        with pytest.raises(ConnectionError) as refused:
            await line.provider.update_session(instructions="Be gone.")
        assert refused.value.code == "refused"
        assert line.provider.config.instructions == "Be brief."
        await line.say("look it up")
        call = await line.wait(ev.FunctionInvoked)
        assert call.name == "look"
        assert line.of(ev.ConnectionLost) == []
        assert [*line.of(ev.SessionUpdated)[0].settings] == ["instructions", "tools", "voice"]
        with pytest.raises(UnsupportedFeatureError):
            await line.provider.update_session(tools=[])


async def test_the_length_of_the_call_is_what_is_paid():
    async with agent({"model": "ultravox-v0.7"}) as (_, line):
        begin = asyncio.get_running_loop().time()
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        await asyncio.sleep(60)
        used = await line.provider.get_usage()
        assert used is not None
        assert used["input_audio_seconds"] == pytest.approx(
            asyncio.get_running_loop().time() - begin, abs=0.1
        )
        await line.provider.disconnect()
        updates = line.of(ev.UsageUpdated)
        assert {update.model for update in updates} == {"ultravox-v0.7"}
        assert sum(update.input_audio_seconds for update in updates) == pytest.approx(
            asyncio.get_running_loop().time() - begin, abs=0.1
        )


@pytest.mark.parametrize(
    ("fault", "code"), [(Drop(close_code=1011, after_s=1), "closed"), (Expire(after_s=1), "closed")]
)
async def test_a_call_that_ends(fault: Any, code: str):
    async with agent(faults=fault) as (_, line):
        await line.provider.send_text("tell me more")
        lost = await line.wait(ev.ConnectionLost)
        assert (lost.code, lost.retryable) == (code, True)
        assert line.of(ev.ResponseError)[0].code == code


@pytest.mark.parametrize(
    ("refusal", "kind", "code"),
    [
        ("auth", AuthenticationError, "auth"),
        ("rate_limit", RateLimitError, "rate_limit"),
        ("server_error", ConnectionError, "server"),
        ("refused", ConnectionError, "closed"),
    ],
)
async def test_a_call_that_is_not_created(refusal: str, kind: type[ProviderError], code: str):
    async with UltravoxEmulator(key=KEY, faults=Refuse(refusal)) as emulator:
        line = Line(made(emulator))
        with pytest.raises(kind) as refused:
            await line.provider.connect()
        assert refused.value.code == code
        (failed,) = line.of(ev.ConnectionFailed)
        assert failed.code == code


async def test_nobody_is_there():
    emulator = UltravoxEmulator(key=KEY)
    async with emulator:
        provider = made(emulator)
    with pytest.raises(ConnectionError) as refused:
        await provider.connect()
    assert refused.value.code == "refused"


async def test_keys_and_settings_that_do_not_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ULTRAVOX_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="ULTRAVOX_API_KEY"):
        UltravoxProvider()
    async with UltravoxEmulator(key=KEY) as emulator:
        with pytest.raises(AuthenticationError) as wrong:
            await made(emulator, {"api_key": "wrong-key"}).connect()
        assert "wrong-key" not in str(wrong.value)
        with pytest.raises(ConnectionError, match="there is no") as refused:
            await made(emulator, {"session": {"voice": "Nobody"}}).connect()
        assert (refused.value.code, refused.value.retryable) == ("rejected", False)
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(MissingDependencyError, match=r"voxengine\[chat\]"):
        await UltravoxProvider({"api_key": KEY, "endpoint": "http://127.0.0.1:1"}).connect()


async def test_what_is_no_message():
    async with agent({"session": {}}) as (emulator, line):
        emulator.session.send_raw('{"type": "state", "state": 7}')
        emulator.session.send_raw("[]")
        emulator.session.send_raw('{"type": "mood", "mood": "sunny"}')
        await line.wait(ev.ErrorGeneral, 2)
        assert {error.code for error in line.of(ev.ErrorGeneral)} == {"bad_message"}
        assert (await line.wait(ev.RawEvent)).payload == {"type": "mood", "mood": "sunny"}
        # A sample may be cut in two.
        emulator.session.send_raw(b"\x00\x40\x00")
        emulator.session.send_raw(b"\x40")
        await line.wait(ev.AudioOutputChunk, 2)
        chunks = [chunk.audio_data for chunk in line.of(ev.AudioOutputChunk)]
        assert chunks == [b"\x00\x40", b"\x00\x40"]


async def test_messages_in_the_vendors_own_words():
    async with agent() as (emulator, line):
        await line.provider.send_event({"type": "ping", "timestamp": 1.5})
        await asyncio.sleep(0.1)
        assert emulator.session.events[-1] == {"type": "ping", "timestamp": 1.5}
        assert line.of(ev.RawEvent) == []
        for wrong in ({"text": "no type"}, {"type": "ping", "timestamp": object()}):
            with pytest.raises(MessageError):
                await line.provider.send_event(wrong)
