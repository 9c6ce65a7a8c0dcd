"""The provider against the emulated Voice Agent."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.vendors.line import ANSWERS, BEFORE, LOOK, Stand
from voxengine import events as ev
from voxengine.conversation.items import Item
from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    MessageError,
    RateLimitError,
    UnsupportedFeatureError,
)
from voxengine.providers.deepgram import DeepgramProvider
from voxengine.testing.emulators.deepgram import DeepgramEmulator
from voxengine.testing.emulators.faults import Drop, LateAudio, Refuse

KEY = "deepgram-secret"
SCRIPT = {
    **ANSWERS,
    "look it up": {
        "text": "One moment.",
        "tool": {"name": "look", "arguments": {"what": "it"}},
        "then": "found {output}",
    },
}
HISTORY = [*BEFORE, Item(id="3", role="system", text="It rains.", status="completed")]

STAND = Stand(DeepgramEmulator, DeepgramProvider, key=KEY, answers=SCRIPT)
agent, made = STAND.agent, STAND.made


@pytest.mark.parametrize("tells_beginning", [True, False])
async def test_a_spoken_turn(tells_beginning: bool):
    async with agent(tells_beginning=tells_beginning) as (_, line):
        await line.say("good morning")
        await line.wait(ev.ResponseCompleted)
        (turn,) = line.of(ev.TurnDetected)
        (words,) = line.of(ev.TranscriptCompleted)
        assert (words.text, words.item_id) == ("good morning", turn.item_id)
        assert line.said() == "Good morning to you. How are you?"
        assert line.sound() == "Good morning to you. How are you?"
        assert str(line.provider.session_id) in str(turn.item_id)
        # Neither thoughts nor what is said twice.
        assert line.of(ev.RawEvent) == []


async def test_the_user_interrupts():
    async with agent(faults=LateAudio(after_chunks=1)) as (_, line):
        await line.provider.send_text("tell me more")
        await line.wait(ev.AudioOutputChunk, 3)
        with pytest.raises(UnsupportedFeatureError):
            await line.provider.interrupt()
        await line.say("good morning")
        cancelled = await line.wait(ev.ResponseCancelled)
        assert cancelled.reason == "turn_detected"
        completed = await line.wait(ev.ResponseCompleted)
        assert completed.response_id != cancelled.response_id
        after = line.events[line.events.index(cancelled) + 1 :]
        assert cancelled.response_id not in {getattr(e, "response_id", None) for e in after}
        assert line.events.index(line.of(ev.VadSpeechStarted)[0]) < line.events.index(cancelled)


async def test_a_tool():
    async with agent({"tools": [LOOK]}) as (emulator, line):
        await line.provider.send_text("look it up")
        call = await line.wait(ev.FunctionInvoked)
        assert (call.name, json.loads(call.arguments)) == ("look", {"what": "it"})
        await line.wait(ev.ResponseCompleted)
        await line.provider.send_tool_result(call.call_id, "a book")
        # It is answered anyhow: asking for that changes nothing.
        await line.provider.create_response()
        await line.wait(ev.ResponseCompleted, 2)
        assert line.said().endswith("found a book")
        assert [e["type"] for e in emulator.session.events].count("InjectUserMessage") == 1
        with pytest.raises(MessageError) as refused:
            await line.provider.send_tool_result(call.call_id, "again")
        assert refused.value.code == "unknown_call"


async def test_a_call_that_is_withdrawn():
    async with agent({"tools": [LOOK]}) as (_, line):
        await line.provider.send_text("look it up")
        call = await line.wait(ev.FunctionInvoked)
        await line.say("good morning")
        cancelled = await line.wait(ev.FunctionCancelled)
        assert (cancelled.call_id, cancelled.name) == (call.call_id, "look")
        with pytest.raises(MessageError):
            await line.provider.send_tool_result(call.call_id, "late")


async def test_a_tool_that_the_server_runs_is_none_of_ours():
    async with agent() as (emulator, line):
        function = {"id": "s", "name": "own", "arguments": "{}", "client_side": False}
        emulator.session.send({"type": "FunctionCallRequest", "functions": [function]})
        raw = await line.wait(ev.RawEvent)
        assert raw.name == "FunctionCallRequest"
        assert line.of(ev.FunctionInvoked) == []


async def test_settings_change_in_mid_conversation():
    async with agent({"instructions": "Be brief."}) as (emulator, line):
        model, provider = emulator.session.model, line.provider
        assert model.instructions.startswith("Be brief.\n\n")
        await provider.send_text("It rains.", "system")
        await provider.update_session(instructions="Be long.")
        await provider.update_session(
            tools=[LOOK], voice="aura-2-zeus-en", vocabulary=["Ulm"], temperature=0.2
        )
        await provider.update_session(turn_options={"eagerness": "low"}, partials=False)
        await asyncio.sleep(0.1)
        assert model.instructions.startswith("Be long.\n\nIt rains.\n\n")
        assert model.tools == ["look"]
        assert model.voice_name == "aura-2-zeus-en"
        told = emulator.session.settings["agent"]
        listens = told["listen"]["provider"]
        assert (listens["keyterms"], listens["eot_threshold"]) == (["Ulm"], 0.85)
        assert told["think"]["provider"]["temperature"] == 0.2
        sent = [e["type"] for e in emulator.session.events]
        assert sent == [
            "Settings",
            "UpdatePrompt",
            "UpdatePrompt",
            "UpdateThink",
            "UpdateListen",
            "UpdateSpeak",
            "UpdateListen",
        ]
        assert len(line.of(ev.SessionUpdated)) == 3
        with pytest.raises(UnsupportedFeatureError):
            await provider.update_session(output_format="pcm16@8000")


async def test_of_many_notes_the_latest_stay():
    async with agent() as (emulator, line):
        for n in range(20):
            await line.provider.send_text(f"note{n} {'x' * 1000}", "system")
        await asyncio.sleep(0.1)
        told = emulator.session.model.instructions
        assert "note19 " in told
        assert "note0 " not in told
        assert len(told) < 9000
        assert line.of(ev.ResponseStarted) == []


async def test_an_earlier_conversation():
    async with agent(history=HISTORY) as (emulator, line):
        await line.provider.send_text("The sun shines.", "system")
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        model = emulator.session.model
        assert model.memory[:2] == [("user", "My name is Ada."), ("assistant", "Hello Ada, how")]
        assert model.instructions.startswith("It rains.\n\nThe sun shines.\n\n")
        with pytest.raises(MessageError) as late:
            await line.provider.add_conversation_history(HISTORY)
        assert late.value.code == "history_late"


async def test_it_says_what_it_is_given_and_answers_when_asked():
    async with agent({"metadata": {"greeting": "Welcome."}}) as (_, line):
        await line.provider.generate_tts("The red fox.")
        await line.wait(ev.ResponseCompleted, 2)
        assert line.said() == "Welcome.The red fox."
        await line.provider.create_response(instructions="good morning")
        await line.provider.create_response(instructions="tell me more")
        await line.wait(ev.ResponseCompleted, 4)
        assert line.said().endswith(ANSWERS["good morning"] + ANSWERS["tell me more"])
        with pytest.raises(UnsupportedFeatureError):
            await line.provider.create_response(["text"])
        with pytest.raises(UnsupportedFeatureError):
            await line.provider.send_text("I said that.", "assistant")


async def test_what_is_to_be_answered_next_gives_way_to_the_user():
    async with agent() as (emulator, line):
        await line.provider.send_text("tell me more")
        await line.wait(ev.AudioOutputChunk)
        await line.provider.create_response(instructions="look it up")
        await line.say("good morning")
        await line.wait(ev.ResponseCompleted)
        await asyncio.sleep(2)
        assert line.said().endswith(ANSWERS["good morning"])
        assert len(line.of(ev.ResponseStarted)) == 2
        assert [e["type"] for e in emulator.session.events].count("InjectUserMessage") == 1


async def test_an_answer_that_never_begins_is_asked_for_again():
    async with agent() as (emulator, line):
        emulator.session.model.configure(answers=False)
        await line.say("good morning")
        await line.wait(ev.TurnDetected)
        await line.provider.create_response()
        await asyncio.sleep(11)
        assert line.of(ev.ResponseStarted) == []
        await line.provider.create_response()
        await line.wait(ev.ResponseCompleted)


async def test_a_turn_is_ended_in_the_vendors_own_words():
    async with agent() as (_, line):
        await line.provider.update_session(turn_options={"silence_duration_ms": 5000})
        await line.say("good morning", pause_ms=100)
        await line.provider.send_event({"type": "ForceEndTurn"})
        assert (await line.wait(ev.TranscriptCompleted)).text == "good morning"
        with pytest.raises(MessageError):
            await line.provider.send_event({"kind": "ForceEndTurn"})


async def test_what_nobody_hears_does_not_end_it():
    async with agent(idle_s=8.5) as (emulator, line):
        for _ in range(8):
            # The last sound falls anywhere between two looks.
            await line.provider.send_audio(bytes(960))
            await asyncio.sleep(8.7)
        assert line.of(ev.ConnectionLost) == []
        alive = [e for e in emulator.session.events if e["type"] == "KeepAlive"]
        assert 8 <= len(alive) <= 16


async def test_warnings_and_refusals():
    async with agent({"metadata": {"listen": "nova-3"}}) as (_, line):
        await line.provider.send_event({"type": "ForceEndTurn"})
        assert (await line.wait(ev.SystemWarning)).code == "force_end_turn_unsupported"
        await line.provider.send_text("tell me more")
        await line.wait(ev.AudioOutputChunk)
        await line.provider.send_event({"type": "InjectAgentMessage", "message": "No."})
        refused = await line.wait(ev.ErrorGeneral)
        assert (refused.code, refused.recoverable) == ("injection_refused", True)


async def test_the_length_of_the_session_is_what_is_paid():
    async with agent() as (_, line):
        begin = asyncio.get_running_loop().time()
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        await asyncio.sleep(60)
        passed = asyncio.get_running_loop().time() - begin
        used = await line.provider.get_usage()
        assert used is not None
        assert used["input_audio_seconds"] == pytest.approx(passed, abs=0.1)
        await line.provider.disconnect()
        told = sum(update.input_audio_seconds for update in line.of(ev.UsageUpdated))
        assert told == pytest.approx(passed, abs=0.1)


@pytest.mark.parametrize(
    ("code", "ours", "retryable"),
    [
        ("INTERNAL_SERVER_ERROR", "server", True),
        ("CLIENT_MESSAGE_TIMEOUT", "timeout", True),
        ("USER_AUDIO_FORMAT", "message", False),
        ("SOMETHING_NEW", "something_new", True),
    ],
)
async def test_an_error_ends_the_session(code: str, ours: str, retryable: bool):
    async with agent() as (emulator, line):
        await line.provider.send_text("tell me more")
        await line.wait(ev.AudioOutputChunk)
        emulator.session.error(code, f"no more for {KEY}")
        lost = await line.wait(ev.ConnectionLost)
        (told,) = line.of(ev.ErrorGeneral)
        assert (told.code, told.recoverable, lost.code) == (ours, False, ours)
        assert lost.retryable == retryable
        assert KEY not in str(line.events)
        assert line.of(ev.ResponseError)[0].code == ours
        assert line.of(ev.UsageUpdated)


async def test_a_session_that_is_cut():
    async with agent(faults=Drop(close_code=1011, after_s=1)) as (_, line):
        lost = await line.wait(ev.ConnectionLost)
        assert (lost.code, lost.retryable) == ("closed", True)


async def test_settings_that_are_refused():
    async with DeepgramEmulator(key=KEY) as emulator:
        wrong = {"session": {"audio": {"input": {"encoding": "flac", "sample_rate": 8000}}}}
        with pytest.raises(MessageError, match="INVALID_SETTINGS"):
            await made(emulator, {"metadata": wrong}).connect()


async def test_what_is_no_message():
    async with agent() as (emulator, line):
        emulator.session.send_raw('{"type": "ConversationText", "content": 7}')
        emulator.session.send_raw('{"type": "FunctionCallRequest", "functions": [1]}')
        emulator.session.send_raw('{"type": "FrustrationDetected", "count": 1, "escalated": false}')
        await line.wait(ev.ErrorGeneral, 2)
        assert {error.code for error in line.of(ev.ErrorGeneral)} == {"bad_message"}
        assert line.of(ev.RawEvent)[0].name == "FrustrationDetected"
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)


async def test_keys(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DEEPGRAM_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="DEEPGRAM_API_KEY"):
        DeepgramProvider()
    async with DeepgramEmulator(key=KEY) as emulator:
        with pytest.raises(AuthenticationError) as refused:
            await made(emulator, {"api_key": "wrong-key"}).connect()
        assert "wrong-key" not in str(refused.value)
    async with DeepgramEmulator(key=KEY, faults=Refuse("rate_limit")) as emulator:
        with pytest.raises(RateLimitError):
            await made(emulator).connect()
