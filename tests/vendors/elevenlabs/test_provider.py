"""The provider against the emulated agent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.vendors.line import ANSWERS, BEFORE, Line, Stand
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    MessageError,
    RateLimitError,
    UnsupportedFeatureError,
)
from voxengine.providers.elevenlabs import ElevenLabsProvider
from voxengine.testing.emulators.elevenlabs import ElevenLabsEmulator
from voxengine.testing.emulators.faults import Drop, ErrorOnce, Expire, LateAudio, Refuse

KEY = "xi-secret"

STAND = Stand(ElevenLabsEmulator, ElevenLabsProvider, key=KEY)
agent, made = STAND.agent, STAND.made


def begun(emulator: ElevenLabsEmulator) -> dict[str, Any]:
    """How the client has begun the conversation."""
    first: dict[str, Any] = emulator.session.events[0]
    return first


async def test_a_spoken_turn():
    async with agent() as (_, line):
        await line.say("good morning")
        await line.wait(ev.ResponseCompleted)
        (turn,) = line.of(ev.TurnDetected)
        (words,) = line.of(ev.TranscriptCompleted)
        assert (words.text, words.item_id) == ("good morning", turn.item_id)
        assert line.of(ev.VadSpeechStarted)
        assert line.said() == line.sound() == "Good morning to you. How are you?"
        places = [(e.audio_start_ms, e.audio_end_ms) for e in line.of(ev.TextOutput)]
        assert len(places) == 7
        assert places == sorted(places)
        (used,) = line.of(ev.UsageUpdated)
        assert used.model == "conversational_ai"
        assert used.input_audio_seconds > 1


async def test_the_user_interrupts():
    async with agent(faults=LateAudio(after_chunks=1)) as (emulator, line):
        await line.say("tell me more")
        await line.wait(ev.AudioOutputChunk, 4)
        await asyncio.sleep(3)
        await line.say("stop it")
        await line.wait(ev.TranscriptCompleted, 2)
        (heard,) = line.of(ev.ConversationInterrupted)
        (said,) = [text for role, text in emulator.session.model.memory if role == "assistant"][:1]
        assert heard.heard_text == said
        assert ANSWERS["tell me more"].startswith(said)
        assert 4 < len(said.split()) < 20
        assert heard.item_id == line.of(ev.AudioOutputChunk)[0].item_id
        assert 3000 < heard.heard_ms < 6000
        await line.wait(ev.ResponseCompleted, 2)


async def test_it_says_what_was_heard_and_the_dots_are_no_part_of_it():
    async with agent(dots=True) as (_, line):
        await line.say("tell me more")
        await line.wait(ev.AudioOutputChunk, 4)
        await asyncio.sleep(3)
        await line.say("stop it")
        heard = await line.wait(ev.ConversationInterrupted)
        assert ANSWERS["tell me more"].startswith(heard.heard_text)


async def test_a_tool_is_called():
    async with agent() as (emulator, line):
        await line.provider.send_text("look it up")
        call = await line.wait(ev.FunctionInvoked)
        assert (call.name, call.arguments.replace(" ", "")) == ("look", '{"what":"it"}')
        await line.wait(ev.ResponseCompleted)
        await line.provider.send_tool_result(call.call_id, "a pen")
        await line.provider.create_response()  # it answers by itself
        await line.wait(ev.ResponseCompleted, 2)
        assert line.said() == "found a pen"
        with pytest.raises(MessageError, match="waiting"):
            await line.provider.send_tool_result(call.call_id, "again")
        results = [e for e in emulator.session.events if e["type"] == "client_tool_result"]
        assert [(e["result"], e["is_error"]) for e in results] == [("a pen", False)]


async def test_a_tool_that_has_failed_is_told_as_one():
    async with agent() as (emulator, line):
        await line.provider.send_text("look it up")
        call = await line.wait(ev.FunctionInvoked)
        await line.provider.send_tool_result(call.call_id, '{"error": "no network"}')
        await line.wait(ev.ResponseCompleted, 2)
        assert emulator.session.events[-1]["is_error"] is True


async def test_settings_are_overrides():
    config = {
        "instructions": "Be brief.",
        "language": "en-GB",
        "voice": "George",
        "vocabulary": ["Voxtral"],
        "metadata": {
            "first_message": "Hello!",
            "dynamic_variables": {"name": "Ada"},
            "user_id": "u1",
            "llm": "gpt-5",
            "speed": 1.1,
            "session": {"conversation_config_override": {"tts": {"stability": 0.3}}},
        },
    }
    async with agent(config) as (emulator, line):
        told = begun(emulator)
        assert told["conversation_config_override"] == {
            "agent": {
                "prompt": {"prompt": "Be brief.", "llm": "gpt-5"},
                "first_message": "Hello!",
                "language": "en",
            },
            "tts": {"voice_id": "JBFqnCBsd6RMkjVDRZzb", "speed": 1.1, "stability": 0.3},
            "asr": {"keywords": ["Voxtral"]},
        }
        assert (told["dynamic_variables"], told["user_id"]) == ({"name": "Ada"}, "u1")
        await line.wait(ev.ResponseCompleted)
        assert line.said() == "Hello!"
        assert line.of(ev.SystemWarning) == []


async def test_what_is_not_asked_for_is_left_to_the_agent():
    async with agent() as (emulator, _):
        assert begun(emulator) == {
            "type": "conversation_initiation_client_data",
            "source_info": {"source": "voxengine"},
        }


async def test_what_cannot_be_done_is_told():
    config = {"temperature": 0.5, "voice": "marin"}
    async with agent(config) as (_, line):
        codes = [warning.code for warning in line.of(ev.SystemWarning)]
        assert codes == ["temperature_ignored", "voice_mapped"]


async def test_an_override_that_the_agent_forbids_is_an_error():
    async with ElevenLabsEmulator(key=KEY, overrides=frozenset()) as emulator:
        with pytest.raises(MessageError) as refused:
            await made(emulator, {"instructions": "Be brief."}).connect()
        assert refused.value.code == "override_error"


async def test_an_agent_may_be_left_as_it_is():
    config = {"instructions": "Be brief.", "voice": "George", "metadata": {"overrides": False}}
    async with agent(config, overrides=frozenset(), history=BEFORE) as (emulator, line):
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        assert emulator.session.model.instructions == "Be brief."
        assert "My name is Ada." in emulator.session.model.memory[0][1]
        assert [warning.code for warning in line.of(ev.SystemWarning)] == ["voice_ignored"]


async def test_an_earlier_conversation_is_a_part_of_the_prompt():
    config = {"instructions": "Be brief.", "metadata": {"first_message": "Hello!"}}
    async with agent(config, history=BEFORE) as (emulator, line):
        instructions = emulator.session.model.instructions
        assert instructions.startswith("Be brief.")
        assert "My name is Ada." in instructions
        await asyncio.sleep(1)
        # It has greeted before.
        assert line.of(ev.ResponseStarted) == []


async def test_without_instructions_it_is_told_and_the_prompt_stays():
    async with agent(history=BEFORE, prompt="You sell pens.") as (emulator, line):
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        assert emulator.session.model.instructions == "You sell pens."
        assert "My name is Ada." in emulator.session.model.memory[0][1]
        await line.say("hm")
        with pytest.raises(MessageError) as late:
            await line.provider.add_conversation_history(BEFORE)
        assert late.value.code == "history_late"


async def test_notes_and_instructions_in_the_middle():
    async with agent() as (emulator, line):
        await line.provider.send_text("The user is in a car.", "system")
        await line.provider.update_session(instructions="Be long.", partials=False)
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        model = emulator.session.model
        assert ("system", "The user is in a car.") in model.memory
        assert model.instructions == "Be long."
        assert list(emulator.session.contexts) == ["instructions"]
        with pytest.raises(UnsupportedFeatureError):
            await line.provider.update_session(voice="George")
        with pytest.raises(UnsupportedFeatureError):
            await line.provider.send_text("hi", "assistant")


async def test_the_vendors_own_words_are_sent():
    async with agent() as (emulator, line):
        await line.provider.send_event({"type": "user_activity"})
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        assert emulator.session.activities == 1
        with pytest.raises(MessageError):
            await line.provider.send_event({"text": "hi"})


async def test_pings_are_answered():
    async with agent(ping_s=2.0) as (emulator, _):
        await asyncio.sleep(5)
        pongs = [e["event_id"] for e in emulator.session.events if e["type"] == "pong"]
        assert len(pongs) == 3


@pytest.mark.parametrize(
    ("given", "taken"), [("pcm_24000", "pcm_48000"), ("ulaw_8000", "ulaw_8000")]
)
async def test_the_agent_says_in_which_formats_it_hears_and_speaks(given: str, taken: str):
    async with agent(input_format=given, output_format=taken) as (_, line):
        mulaw = AudioFormat("g711_ulaw", 8000)
        wanted = mulaw if given.startswith("ulaw") else AudioFormat("pcm16", 24000)
        assert line.provider.get_audio_format() == wanted
        await line.say("good morning")
        await line.wait(ev.ResponseCompleted)
        assert line.of(ev.TranscriptCompleted)[0].text == "good morning"
        assert line.sound() == "Good morning to you. How are you?"


async def test_without_places_of_characters_it_works_as_well():
    async with agent(aligned=False) as (_, line):
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        assert line.said() == line.sound() == "Good morning to you. How are you?"


async def test_an_agent_may_write():
    session = {"conversation_config_override": {"conversation": {"text_only": True}}}
    async with agent({"metadata": {"session": session}}) as (_, line):
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        assert line.said() == "Good morning to you. How are you?"
        assert line.of(ev.AudioOutputChunk) == []


async def test_a_public_agent_needs_no_key(monkeypatch: pytest.MonkeyPatch):
    for name in ("ELEVENLABS_API_KEY", "ELEVEN_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    async with ElevenLabsEmulator(ANSWERS, key=KEY, public=True) as emulator:
        provider = ElevenLabsProvider({"metadata": emulator.metadata})
        await provider.connect()
        await provider.disconnect()
        assert emulator.signed == {}


async def test_an_address_may_be_given_that_another_has_asked_for():
    async with ElevenLabsEmulator(ANSWERS, key=KEY) as emulator:
        emulator.signed["abc"] = None
        url = f"{emulator.endpoint}?agent_id=agent_emulated&conversation_signature=abc"
        line = Line(ElevenLabsProvider({"metadata": {"signed_url": url}}))
        await line.provider.connect()
        await line.provider.disconnect()
        wrong = Line(ElevenLabsProvider({"metadata": {"signed_url": url.replace("abc", "xyz")}}))
        with pytest.raises(AuthenticationError) as refused:
            await wrong.provider.connect()
        assert "xyz" not in str(refused.value) + repr(wrong.events)


async def test_the_configuration_has_to_make_sense(monkeypatch: pytest.MonkeyPatch):
    for name in ("ELEVENLABS_API_KEY", "ELEVEN_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for config, words in (
        ({}, "agent"),
        ({"model": "a", "residency": "moon"}, "us, eu, in, sg"),
        ({"model": "a", "signed": True}, "api_key"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            ElevenLabsProvider(config)
    longer = ElevenLabsProvider({"model": "a", "max_duration": 1800})
    assert longer.capabilities.max_connection_seconds == 1800


async def test_data_may_stay_in_a_region():
    provider = ElevenLabsProvider({"model": "a", "residency": "eu", "signed": False})
    address = await provider.address()
    assert address.url.startswith("wss://api.eu.residency.elevenlabs.io/v1/convai/conversation?")


async def test_it_is_refused_as_it_should_be():
    async with ElevenLabsEmulator(key="another") as emulator:
        with pytest.raises(AuthenticationError) as refused:
            await made(emulator).connect()
        assert KEY not in str(refused.value)
    async with ElevenLabsEmulator(key=KEY, faults=Refuse("rate_limit")) as emulator:
        with pytest.raises(RateLimitError):
            await made(emulator).connect()
    async with ElevenLabsEmulator(key=KEY) as emulator:
        with pytest.raises(ConnectionError) as gone:
            await made(emulator, {"metadata": {"agent_id": "nobody"}}).connect()
        assert gone.value.code == "not_found"
    async with ElevenLabsEmulator(key=KEY, variables=("name",)) as emulator:
        with pytest.raises(MessageError) as missing:
            await made(emulator).connect()
        assert missing.value.code == "missing_dynamic_variable"


@pytest.mark.parametrize(
    ("fault", "code", "retryable"),
    [
        (Expire(after_s=2), "session_expired", True),
        (ErrorOnce(code="llm_timeout", after_s=2), "timeout", True),
        (ErrorOnce(code="safety_violation", after_s=2), "content_filter", False),
        (ErrorOnce(code="tts_cascade_error", after_s=2), "server", True),
        (Drop(close_code=1000, after_s=2), "ended", False),
        (Drop(close_code=1006, after_s=2), "closed", True),
        (
            Drop(close_code=1008, reason="This request exceeds your quota", after_s=2),
            "quota",
            False,
        ),
    ],
    ids=repr,
)
async def test_the_end_of_a_conversation_is_told_in_our_words(
    fault: Any, code: str, retryable: bool
):
    async with agent(faults=fault) as (_, line):
        await line.provider.send_text("tell me more")
        lost = await line.wait(ev.ConnectionLost)
        assert (lost.code, lost.retryable) == (code, retryable)
        assert line.of(ev.UsageUpdated)


async def test_the_longest_conversation_ends():
    async with agent(max_duration_s=3.0) as (_, line):
        assert (await line.wait(ev.ConnectionLost)).code == "session_expired"
