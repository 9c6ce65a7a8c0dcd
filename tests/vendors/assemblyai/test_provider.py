"""The provider against the emulated Voice Agent."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.vendors.line import ANSWERS, BEFORE, LOOK, Line, Stand
from voxengine import events as ev
from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    MessageError,
    UnsupportedFeatureError,
)
from voxengine.providers.assemblyai import AssemblyAIProvider
from voxengine.testing.emulators.assemblyai import AgentEmulator
from voxengine.testing.emulators.faults import Drop, Expire, LateAudio

KEY = "aai-secret"
SCRIPT = {
    **ANSWERS,
    "look it up": {
        "text": "One moment.",
        "tool": {"name": "look", "arguments": {"what": "it"}},
        "then": "found {output}",
    },
    "look it up at length": {
        "text": " ".join(f"word{n}" for n in range(10, 40)),
        "tool": {"name": "look", "arguments": {}},
        "then": "found {output}",
    },
}

STAND = Stand(AgentEmulator, AssemblyAIProvider, key=KEY, answers=SCRIPT)
agent, made = STAND.agent, STAND.made


async def test_a_spoken_turn():
    async with agent() as (emulator, line):
        await line.say("good morning")
        await line.wait(ev.ResponseCompleted)
        (turn,) = line.of(ev.TurnDetected)
        (words,) = line.of(ev.TranscriptCompleted)
        assert (words.text, words.item_id) == ("good morning", turn.item_id)
        assert line.of(ev.TranscriptPartial)
        assert line.said() == line.sound() == "Good morning to you. How are you?"
        places = [event.audio_start_ms or 0.0 for event in line.of(ev.TextOutput)]
        assert places == sorted(places)
        assert places[0] == 0
        assert emulator.session.model.memory == [
            ("user", "good morning"),
            ("assistant", "Good morning to you. How are you?"),
        ]


@pytest.mark.parametrize("law", ["g711_ulaw", "g711_alaw"])
async def test_telephone_audio(law: str):
    formats = AssemblyAIProvider.capabilities.input_formats
    format = next(each for each in formats if each.encoding == law)
    async with agent({"input_format": format, "output_format": format}) as (emulator, line):
        await line.say("good morning")
        await line.wait(ev.ResponseCompleted)
        assert line.sound() == "Good morning to you. How are you?"
        assert emulator.session.config["output"]["format"] == {
            "encoding": {"g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}[law]
        }


async def test_the_user_interrupts():
    async with agent(faults=LateAudio(after_chunks=1)) as (emulator, line):
        await line.provider.send_text("tell me more")
        await line.wait(ev.AudioOutputChunk, 30)
        with pytest.raises(UnsupportedFeatureError):
            await line.provider.interrupt()
        await line.say("good morning")
        cancelled = await line.wait(ev.ResponseCancelled)
        assert cancelled.reason == "turn_detected"
        (told,) = line.of(ev.ConversationInterrupted)
        # What the agent takes for heard is what it remembers, and the places of the words agree with it.
        assert ("assistant", told.heard_text) in emulator.session.model.memory
        cut = [event for event in line.of(ev.TextOutput) if event.item_id == told.item_id]
        heard = [event for event in cut if (event.audio_end_ms or 0) <= told.heard_ms]
        assert "".join(event.text for event in heard) == told.heard_text
        assert 3 <= len(heard) < 20
        completed = await line.wait(ev.ResponseCompleted)
        assert completed.response_id != cancelled.response_id
        after = line.events[line.events.index(told) + 1 :]
        assert cancelled.response_id not in {getattr(e, "response_id", None) for e in after}


async def test_who_is_not_to_be_interrupted_goes_on():
    async with agent({"interruptions": False}) as (_, line):
        await line.provider.send_text("tell me more")
        await line.wait(ev.AudioOutputChunk, 3)
        await line.say("good morning")
        await line.wait(ev.ResponseCompleted)
        assert line.of(ev.ResponseCancelled) == []


async def test_a_result_waits_for_the_end_of_the_reply():
    async with agent({"tools": [LOOK]}) as (emulator, line):
        await line.provider.send_text("look it up")
        call = await line.wait(ev.FunctionInvoked)
        assert (call.name, json.loads(call.arguments)) == ("look", {"what": "it"})
        await line.provider.send_tool_result(call.call_id, "a book")
        kinds = [event["type"] for event in emulator.session.events]
        assert "tool.result" not in kinds
        # It is answered anyhow: asking for that changes nothing.
        await line.provider.create_response()
        await line.wait(ev.ResponseCompleted, 2)
        assert line.said() == "One moment.found a book"
        kinds = [event["type"] for event in emulator.session.events]
        assert kinds[-1] == "tool.result"
        assert kinds.count("reply.create") == 1
        with pytest.raises(MessageError) as refused:
            await line.provider.send_tool_result(call.call_id, "again")
        assert refused.value.code == "unknown_call"


async def test_a_late_result_is_given_at_once():
    async with agent({"tools": [LOOK]}) as (_, line):
        await line.provider.send_text("look it up")
        call = await line.wait(ev.FunctionInvoked)
        await line.wait(ev.ResponseCompleted)
        await line.provider.send_tool_result(call.call_id, '{"title": "a book"}')
        await line.wait(ev.ResponseCompleted, 2)
        assert line.said().endswith('found {"title": "a book"}')


async def test_the_result_of_an_interrupted_reply_is_let_go():
    async with agent({"tools": [LOOK]}) as (emulator, line):
        await line.provider.send_text("look it up at length")
        call = await line.wait(ev.FunctionInvoked)
        await line.provider.send_tool_result(call.call_id, "a book")
        await line.say("good morning")
        await line.wait(ev.ResponseCancelled)
        await line.wait(ev.ResponseCompleted)
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted, 2)
        assert "tool.result" not in [event["type"] for event in emulator.session.events]


async def test_settings():
    config = {
        "instructions": "Be brief.",
        "voice": "jane",
        "language": "en-US",
        "tools": [LOOK],
        "vocabulary": ["Zaffranil"],
        "turn_options": {"threshold": 0.6, "silence_duration_ms": 700},
        "metadata": {"session": {"input": {"voice_focus": "far-field"}, "output": {"volume": 50}}},
    }
    async with agent(config) as (emulator, line):
        session = emulator.session.config
        assert session["system_prompt"] == "Be brief."
        assert session["output"] == {
            "voice": "jane",
            "volume": 50,
            "format": {"encoding": "audio/pcm"},
        }
        assert session["input"] == {
            "format": {"encoding": "audio/pcm"},
            "keyterms": ["Zaffranil"],
            "language_codes": ["en"],
            "turn_detection": {"vad_threshold": 0.6, "min_silence": 700},
            "voice_focus": "far-field",
        }
        assert session["tools"][0]["parameters"] == {"type": "object"}
        await line.provider.update_session(
            instructions="Be long.",
            tools=[],
            vocabulary=["Malquenar"],
            turn_options={"silence_duration_ms": 300},
            interruptions=False,
        )
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        session = emulator.session.config
        assert session["system_prompt"].startswith("Be long.\n\n")
        assert session["tools"] == []
        assert session["input"]["keyterms"] == ["Malquenar"]
        assert session["input"]["turn_detection"] == {
            "vad_threshold": 0.6,
            "min_silence": 300,
            "interrupt_response": False,
        }
        for fixed in ({"voice": "alba"}, {"turn_detection": "none"}, {"temperature": 1.0}):
            with pytest.raises(UnsupportedFeatureError):
                await line.provider.update_session(**fixed)
        assert line.of(ev.SystemWarning) == []


async def test_what_it_has_no_counterpart_for_is_told():
    config = {"model": "gpt", "temperature": 0.5, "vocabulary": ["word"] * 101}
    async with agent(config) as (emulator, line):
        codes = [warning.code for warning in line.of(ev.SystemWarning)]
        assert codes == ["model_ignored", "temperature_ignored", "vocabulary_cut"]
        assert len(emulator.session.config["input"]["keyterms"]) == 100
    with pytest.raises(ConfigurationError, match="threshold"):
        async with agent({"turn_options": {"threshold": 7}}):
            pass


async def test_a_greeting_is_said_first():
    async with agent({"metadata": {"greeting": "Hello and welcome."}}) as (_, line):
        await line.wait(ev.ResponseCompleted)
        assert line.said() == line.sound() == "Hello and welcome."


async def test_a_stored_agent_keeps_its_prompt_and_is_told_the_rest():
    stored = {"agent_1": {"system_prompt": "Be kind.", "output": {"voice": "mary"}}}
    config = {"tools": [LOOK], "voice": "jane", "metadata": {"agent_id": "agent_1"}}
    async with agent(config, history=BEFORE, agents=stored) as (emulator, line):
        assert [warning.code for warning in line.of(ev.SystemWarning)] == ["voice_ignored"]
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        first = emulator.session.events[0]
        assert first["session"] == {"agent_id": "agent_1"}
        session = emulator.session.config
        assert session["output"]["voice"] == "mary"
        assert session["system_prompt"].startswith("Be kind.\n\n")
        assert "My name is Ada." in session["system_prompt"]
        assert [tool["name"] for tool in session["tools"]] == ["look"]
    async with AgentEmulator(key=KEY) as emulator:
        with pytest.raises(MessageError) as refused:
            await made(emulator, {"metadata": {"agent_id": "agent_2"}}).connect()
        assert refused.value.code == "not_found"


@pytest.mark.parametrize("early", [True, False], ids=["before connect", "after it"])
async def test_an_earlier_conversation_is_a_part_of_the_prompt(early: bool):
    config = {"instructions": "Be brief."}
    async with agent(config, history=BEFORE if early else ()) as (emulator, line):
        if not early:
            await line.provider.add_conversation_history(BEFORE)
        await line.provider.update_session(instructions="Be long.")
        await line.say("good morning")
        await line.wait(ev.ResponseCompleted)
        told = emulator.session.model.instructions
        assert told.startswith("Be long.\n\n")
        assert "My name is Ada." in told
        assert "Hello Ada, how (interrupted here)" in told
        with pytest.raises(MessageError) as late:
            await line.provider.add_conversation_history(BEFORE)
        assert late.value.code == "history_late"


async def test_what_is_written_is_known_and_answered_in_its_turn():
    async with agent() as (emulator, line):
        await line.provider.send_text("The user is in a car.", "system")
        await asyncio.sleep(1)
        assert line.of(ev.ResponseStarted) == []
        await line.provider.send_text("tell me more")
        await line.wait(ev.AudioOutputChunk)
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted, 2)
        assert line.of(ev.ResponseCancelled) == []
        assert line.said().endswith("Good morning to you. How are you?")
        prompt = emulator.session.model.instructions
        assert [words in prompt for words in ("The user is in a car.", "good morning")] == [
            True,
            True,
        ]
        with pytest.raises(UnsupportedFeatureError):
            await line.provider.send_text("I said that.", "assistant")
        with pytest.raises(MessageError):
            await line.provider.send_text("")


async def test_it_answers_when_it_is_asked():
    async with agent() as (_, line):
        await line.provider.create_response(instructions="good morning")
        await line.wait(ev.ResponseCompleted)
        assert line.said() == ANSWERS["good morning"]
        with pytest.raises(UnsupportedFeatureError):
            await line.provider.create_response(["text"])
        with pytest.raises(UnsupportedFeatureError):
            await line.provider.generate_tts("word for word")


async def test_it_costs_the_time_of_the_session():
    async with agent() as (emulator, line):
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        await asyncio.sleep(10)
        provider = line.provider
        used = await provider.get_usage()
        assert used is not None
        assert used["input_audio_seconds"] > 10
    told = sum(event.input_audio_seconds for event in line.of(ev.UsageUpdated))
    lasted = emulator.session.now_ms() / 1000
    assert told == pytest.approx(lasted, abs=0.1)
    assert {event.model for event in line.of(ev.UsageUpdated)} == {"voice-agent"}


async def test_a_session_is_taken_up_again():
    async with agent(faults=Drop(close_code=1006, after_s=5)) as (emulator, line):
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        lost = await line.wait(ev.ConnectionLost)
        assert lost.retryable
        again = Line(made(emulator, {"metadata": {"resume": line.provider.resume_handle}}))
        await again.provider.connect()
        assert again.provider.resumed
        assert again.provider.session_id == line.provider.session_id
        await again.say("good morning")
        await again.wait(ev.ResponseCompleted)
        assert len(emulator.session.model.memory) == 4
        assert emulator.session.events[0]["type"] == "session.resume"
        await again.provider.disconnect()


@pytest.mark.parametrize("after", ["its time", "its end"])
async def test_a_session_that_is_not_known_any_more_is_begun_anew(after: str):
    faults = Drop(close_code=1006, after_s=5) if after == "its time" else ()
    async with agent(faults=faults, grace_s=1.0) as (emulator, line):
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        handle = line.provider.resume_handle
        if after == "its time":
            await line.wait(ev.ConnectionLost)
            await asyncio.sleep(2)
        else:
            await line.provider.disconnect()
            assert line.provider.resume_handle is None
        again = Line(made(emulator, {"metadata": {"resume": handle}}))
        await again.provider.add_conversation_history(BEFORE)
        await again.provider.connect()
        assert not again.provider.resumed
        assert "My name is Ada." in emulator.session.model.instructions
        assert len(again.of(ev.ConnectionEstablished)) == 1
        await again.provider.disconnect()


async def test_a_session_that_has_lasted_too_long():
    async with agent(faults=Expire(after_s=3)) as (_, line):
        lost = await line.wait(ev.ConnectionLost)
        assert (lost.code, lost.retryable) == ("session_expired", True)
        (error,) = line.of(ev.ErrorGeneral)
        assert error.code == "session_expired"


async def test_keys():
    async with AgentEmulator(key=KEY) as emulator:
        wrong = AssemblyAIProvider({"api_key": "aai-wrong", "metadata": emulator.metadata})
        with pytest.raises(AuthenticationError) as refused:
            await wrong.connect()
        assert "aai-wrong" not in str(refused.value)
        token = AssemblyAIProvider({"metadata": {**emulator.metadata, "token": KEY}})
        await token.connect()
        assert "authorization" not in emulator.session.request.headers
        await token.disconnect()


def test_without_a_key(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ASSEMBLYAI_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="ASSEMBLYAI_API_KEY"):
        AssemblyAIProvider({})


async def test_the_vendors_own_words():
    async with agent() as (emulator, line):
        message = {"type": "conversation.message", "role": "user", "content": "hello"}
        await line.provider.send_event(message)
        await line.provider.send_event({"type": "mood.update"})
        error = await line.wait(ev.ErrorGeneral)
        assert (error.code, error.recoverable) == ("invalid_format", True)
        assert message in emulator.session.events
        with pytest.raises(MessageError):
            await line.provider.send_event({"role": "user"})
        emulator.judge.violations.clear()
