"""The provider against the emulated Voice Live."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.vendors.line import ANSWERS, BEFORE, LOOK, Line, Stand
from voxengine import VoiceEngine
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import speak, understand
from voxengine.conversation.items import Item
from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    MessageError,
    RateLimitError,
)
from voxengine.providers.azure_voice_live import AzureVoiceLiveProvider
from voxengine.session.prices import price

pytest.importorskip("azure.ai.voicelive.models")

from voxengine.testing.emulators.azure_voice_live import VoiceLiveEmulator
from voxengine.testing.emulators.faults import (
    Drop,
    Duplicate,
    ErrorOnce,
    Expire,
    LateAudio,
    Malformed,
    Refuse,
    UnknownEvent,
)

KEY = "azure-secret"
SCRIPT = {**ANSWERS, "look twice": {"tools": ["look", "look"], "then": "found {output}"}}
AGENT = {"agent_name": "helper", "project_name": "desk"}
HISTORY = [
    *BEFORE,
    Item(id="3", kind="function_call", role="assistant", call_id="c", name="look", arguments="{}"),
    Item(id="4", kind="function_output", role="tool", call_id="c", output="a book"),
]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*AzureVoiceLiveProvider.key_variables, "AZURE_VOICE_LIVE_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


STAND = Stand(VoiceLiveEmulator, AzureVoiceLiveProvider, key=KEY, answers=SCRIPT)
voice_live, made = STAND.agent, STAND.made


async def test_a_spoken_turn_with_the_places_of_its_words():
    async with voice_live() as (_, line):
        await line.say("good morning")
        await line.wait(ev.ResponseCompleted)
        (turn,) = line.of(ev.TurnDetected)
        (words,) = line.of(ev.TranscriptCompleted)
        assert (words.text, words.item_id) == ("good morning", turn.item_id)
        assert [p.text for p in line.of(ev.TranscriptPartial)][-1].startswith("good")
        assert line.said() == line.sound() == "Good morning to you. How are you?"
        pieces = [event for event in line.of(ev.TextOutput) if event.text]
        assert [piece.text for piece in pieces][:3] == ["Good", " morning", " to"]
        places = [(piece.audio_start_ms, piece.audio_end_ms) for piece in pieces]
        assert all(None not in place for place in places)
        assert places == sorted(places)
        (used,) = line.of(ev.UsageUpdated)
        assert used.output_audio_tokens > 0
        # A price of the model's maker would be a wrong one.
        assert (used.model, price(used)) == ("voice-live/gpt-realtime", None)
        total = await line.provider.get_usage() or {}
        assert total["output_audio_tokens"] == used.output_audio_tokens


async def test_voices_of_openai_have_no_places_and_text_alone_is_written():
    async with voice_live({"voice": "marin"}) as (emulator, line):
        assert emulator.session.config["voice"] == "marin"
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        assert {event.audio_start_ms for event in line.of(ev.TextOutput)} == {None}
        await line.provider.configure_session({"modalities": ["text"]})
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted, 2)
        assert len(line.of(ev.AudioOutputChunk)) == len(
            {id(e) for e in line.of(ev.AudioOutputChunk)}
        )
        assert line.said() == ANSWERS["good morning"] * 2


async def test_a_service_that_tells_no_places_is_not_waited_for():
    async with voice_live(tells_places=False) as (_, line):
        await line.provider.send_text("tell me more")
        await line.wait(ev.ResponseCompleted)
        assert line.said() == ANSWERS["tell me more"]
        first = next(e for e in line.events if isinstance(e, ev.TextOutput))
        before = line.events[: line.events.index(first)]
        assert sum(isinstance(e, ev.AudioOutputChunk) for e in before) <= 10


async def test_the_users_speech_cuts_the_answer_to_what_was_heard():
    async with VoiceLiveEmulator(SCRIPT, key=KEY) as emulator:
        engine = VoiceEngine(
            provider="azure-voice-live", api_key=KEY, metadata=emulator.metadata, mode="big"
        )
        loop = asyncio.get_running_loop()
        sounds: asyncio.Future[Any] = loop.create_future()
        cut: asyncio.Future[Any] = loop.create_future()

        def on_event(event: Any) -> None:
            for kind, future in ((ev.AudioOutputChunk, sounds), (ev.ConversationInterrupted, cut)):
                if isinstance(event, kind) and not future.done():
                    future.set_result(event)

        engine.on("*", on_event)
        async with engine, asyncio.timeout(30):
            await engine.send_text("tell me more")
            await sounds
            await asyncio.sleep(2.0)
            await engine.send_audio(speak("good morning", engine.config.input_format))
            event = await cut
            assert 1500 < event.heard_ms < 4000
            words = event.heard_text.split()
            assert words == ANSWERS["tell me more"].split()[: len(words)]
            assert 2 <= len(words) <= 12
            await asyncio.sleep(1.0)
            sent = [e["type"] for e in emulator.session.events]
            assert "conversation.item.truncate" in sent
            memory = [text for role, text in emulator.session.model.memory if role == "assistant"]
            assert memory[0] == event.heard_text


async def test_late_audio_and_repeated_messages_change_nothing():
    faults = [LateAudio(response=1, after_chunks=3), Duplicate("response.audio.delta", times=0)]
    async with voice_live(faults=faults) as (_, line):
        await line.provider.send_text("tell me more")
        await line.wait(ev.AudioOutputChunk, 3)
        await line.provider.interrupt()
        cancelled = await line.wait(ev.ResponseCancelled)
        assert cancelled.reason == "client_cancelled"
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        after = line.events[line.events.index(cancelled) :]
        audio = b"".join(e.audio_data for e in after if isinstance(e, ev.AudioOutputChunk))
        assert understand(audio, AudioFormat()) == ANSWERS["good morning"]


async def test_tools_one_and_two_at_a_time():
    async with voice_live({"tools": [LOOK]}) as (emulator, line):
        await line.provider.send_text("look it up")
        call = await line.wait(ev.FunctionInvoked)
        assert (call.name, json.loads(call.arguments)) == ("look", {"what": "it"})
        await line.wait(ev.ResponseCompleted)
        await line.provider.send_tool_result(call.call_id, "a book")
        await line.provider.create_response()
        await line.wait(ev.ResponseCompleted, 2)
        assert line.said() == "found a book"
        await line.provider.send_text("look twice")
        await line.wait(ev.FunctionInvoked, 3)
        assert emulator.session.config["tools"][0]["type"] == "function"


async def test_it_says_what_it_is_told_to_say():
    async with voice_live() as (emulator, line):
        await line.provider.generate_tts("This call is recorded.")
        await line.wait(ev.ResponseCompleted)
        assert line.sound() == "This call is recorded."
        assert emulator.session.model.memory == [("assistant", "This call is recorded.")]


async def test_an_earlier_conversation_notes_places_and_deletion():
    async with voice_live() as (emulator, line):
        provider: Any = line.provider
        await provider.add_conversation_history(HISTORY)
        await provider.send_text("Be kind.", "system")
        more = [Item(id="x" * 60, role="user", text="Good day.", status="completed")]
        await provider.add_conversation_history(more, after="")
        await provider.delete_item("1")
        await provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)
        assert emulator.session.model.memory[:5] == [
            ("user", "Good day."),
            ("assistant", "Hello Ada, how"),
            ("tool_call", "look {}"),
            ("tool", "a book"),
            ("system", "Be kind."),
        ]
        await provider.delete_item("x" * 60)
        await provider.delete_item("nothing")
        error = await line.wait(ev.ErrorGeneral)
        assert (error.code, error.recoverable) == ("item_not_found", True)


async def test_its_options_reach_the_session():
    config = {
        "voice": "en-US-JennyNeural",
        "turn_detection": "semantic_vad",
        "turn_options": {"silence_duration_ms": 400, "eagerness": "low"},
        "vocabulary": ["Contoso"],
        "language": "en-US",
        "temperature": 0.7,
        "metadata": {
            "semantic_vad": "azure_semantic_vad_multilingual",
            "turn_detection_options": {"remove_filler_words": True, "languages": ["en", "de"]},
            "auto_truncate": True,
            "noise_reduction": True,
            "echo_cancellation": {"type": "server_echo_cancellation", "reference_source": "server"},
            "voice_options": {"type": "azure-standard", "style": "cheerful"},
            "speed": 1.25,
            "interim_response": {"type": "static_interim_response", "texts": ["Hm."]},
            "session": {"metadata": {"call": "7"}},
        },
    }
    async with voice_live(config) as (emulator, line):
        session = emulator.session.config
        assert session["voice"] == {
            "type": "azure-standard",
            "name": "en-US-JennyNeural",
            "style": "cheerful",
            "rate": "1.25",
        }
        assert session["turn_detection"] == {
            "type": "azure_semantic_vad_multilingual",
            "silence_duration_ms": 400,
            "remove_filler_words": True,
            "languages": ["en", "de"],
            "auto_truncate": True,
        }
        assert session["input_audio_transcription"] == {
            "model": "azure-speech",
            "language": "en-US",
            "phrase_list": ["Contoso"],
        }
        assert session["input_audio_noise_reduction"] == {"type": "azure_deep_noise_suppression"}
        assert session["metadata"] == {"call": "7"}
        assert session["output_audio_timestamp_types"] == ["word"]
        await line.provider.configure_session({"temperature": None, "voice": "echo"})
        assert session["temperature"] is None
        with pytest.raises(MessageError) as refused:
            await line.provider.configure_session({"model": "another"})
        assert refused.value.code == "model_fixed"
        with pytest.raises(MessageError) as refused:
            await line.provider.configure_session({"session": {"vocie": "x"}})
        assert "vocie" in str(refused.value)
        assert line.of(ev.SessionUpdated)[-1].settings == {"temperature": None, "voice": "echo"}
        emulator.judge.violations.clear()


async def test_auto_truncate_leaves_what_was_played():
    config = {"metadata": {"auto_truncate": True}}
    async with voice_live(config) as (emulator, line):
        await line.provider.send_text("tell me more")
        await line.wait(ev.AudioOutputChunk, 10)
        await line.say("good morning")
        await line.wait(ev.ResponseCompleted)
        memory = [text for role, text in emulator.session.model.memory if role == "assistant"]
        assert ANSWERS["tell me more"].startswith(memory[0])
        assert len(memory[0]) < len(ANSWERS["tell me more"]) / 2


@pytest.mark.parametrize("encoding", ["g711_ulaw", "g711_alaw"])
async def test_telephones(encoding: str):
    format = AudioFormat(encoding, 8000)
    config = {"input_format": format, "output_format": format}
    async with voice_live(config) as (_, line):
        await line.say("good morning")
        await line.wait(ev.ResponseCompleted)
        assert line.sound() == ANSWERS["good morning"]


# -- the connection


@pytest.mark.parametrize(
    ("code", "error"), [("auth", AuthenticationError), ("rate_limit", RateLimitError)]
)
async def test_refusals_at_the_door(code: str, error: type[Exception]):
    async with VoiceLiveEmulator(key=KEY, faults=Refuse(code)) as emulator:
        with pytest.raises(error) as failure:
            await made(emulator).connect()
        assert KEY not in str(failure.value)


async def test_settings_that_are_refused_are_told_by_connect():
    async with VoiceLiveEmulator(key=KEY) as emulator:
        provider = made(emulator, {"metadata": {"session": {"vocie": "x"}}})
        with pytest.raises(MessageError, match="vocie"):
            await provider.connect()


@pytest.mark.parametrize(
    ("fault", "code", "retryable"),
    [
        (Drop(after_s=1.0, close_code=1011), "closed", True),
        (Drop(after_s=1.0, close_code=1006), "closed", True),
        (Expire(after_s=1.0), "session_expired", True),
    ],
)
async def test_losses(fault: Any, code: str, retryable: bool):
    async with voice_live(faults=fault) as (_, line):
        lost = await line.wait(ev.ConnectionLost)
        assert (lost.code, lost.retryable) == (code, retryable)
        with pytest.raises(ConnectionError):
            await line.provider.send_text("hello")


async def test_what_cannot_be_understood_and_what_fails_is_told_and_the_call_goes_on():
    faults = [
        Malformed(after_s=0.1),
        UnknownEvent(after_s=0.2),
        ErrorOnce(response=1, after_chunks=1, code="server_error"),
    ]
    async with voice_live(faults=faults) as (_, line):
        complaint = await line.wait(ev.ErrorGeneral)
        assert complaint.code == "bad_message"
        raw = await line.wait(ev.RawEvent)
        assert raw.name == "response.mood.updated"
        await line.provider.send_text("tell me more")
        failed = await line.wait(ev.ResponseError)
        assert (failed.code, failed.retryable) == ("server", True)
        await line.provider.send_text("good morning")
        await line.wait(ev.ResponseCompleted)


async def test_a_token_of_entra_is_a_bearer_and_may_be_an_object():
    class Token:
        token = "ey.token"

    seen = []

    async def provide() -> Token:
        seen.append(1)
        return Token()

    async with VoiceLiveEmulator(key="ey.token") as emulator:
        provider = AzureVoiceLiveProvider(
            {"metadata": {**emulator.metadata, "token_provider": provide}}
        )
        await provider.connect()
        await provider.disconnect()
        headers = emulator.session.request.headers
        assert (headers["authorization"], seen) == ("Bearer ey.token", [1])
        assert "api-key" not in headers


async def test_an_agents_conversation_is_taken_up_again_or_begun_anew():
    async with VoiceLiveEmulator(SCRIPT, key=KEY) as emulator:
        first = Line(made(emulator, {"metadata": AGENT}))
        await first.provider.connect()
        assert emulator.session.request.query["agent-name"] == "helper"
        assert "model" not in emulator.session.request.query
        await first.provider.send_text("good morning")
        await first.wait(ev.ResponseCompleted)
        handle = first.provider.resume_handle
        assert handle
        await first.provider.disconnect()
        second = made(emulator, {"metadata": {**AGENT, "resume": handle}})
        await second.connect()
        assert second.resumed
        assert second.resume_handle == handle
        assert ("user", "good morning") in emulator.session.model.memory
        await second.disconnect()
        third = made(emulator, {"metadata": {**AGENT, "resume": "thread_nobody_knows"}})
        await third.connect()
        assert not third.resumed
        assert third.resume_handle not in (None, handle)
        await third.disconnect()


@pytest.mark.parametrize(
    ("metadata", "host"),
    [
        ({"region": "westus2"}, "westus2.api.cognitive.microsoft.com"),
        ({"resource": "desk"}, "desk.services.ai.azure.com"),
        ({"endpoint": "https://desk.services.ai.azure.com"}, "desk.services.ai.azure.com"),
    ],
)
async def test_where_it_is_and_whose_voice(metadata: dict[str, str], host: str):
    provider = AzureVoiceLiveProvider(
        {"metadata": {"speech_key": KEY, "voice": "en-US-JennyNeural", **metadata}}
    )
    address = await provider.address()
    assert address.url.startswith(f"wss://{host}/voice-live/realtime?")
    assert "model=gpt-realtime" in address.url
    assert address.headers == {"api-key": KEY}
    assert provider._session["voice"] == {"type": "azure-standard", "name": "en-US-JennyNeural"}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"api_key": KEY}, "endpoint"),
        ({"metadata": {"region": "eastus"}}, "api_key"),
        ({"turn_detection": "magic"}, "magic"),
        ({"turn_options": {"volume": 3}}, "volume"),
        ({"metadata": {"agent_name": "x"}}, "project_name"),
        ({"metadata": {"voice_options": {"type": "opera"}}}, "opera"),
    ],
)
def test_what_does_not_do_is_said_at_once(config: dict[str, Any], words: str):
    usual = {"api_key": KEY, "metadata": {"region": "eastus", **config.get("metadata", {})}}
    given = (
        config
        if len(config) == 1 and words in ("endpoint", "api_key")
        else {**usual, **{k: v for k, v in config.items() if k != "metadata"}}
    )
    with pytest.raises(ConfigurationError) as failure:
        AzureVoiceLiveProvider(given)
    assert words in str(failure.value)


async def test_a_voice_of_another_vendor_and_an_idle_vocabulary_are_told():
    config = {
        "voice": "Kore",
        "vocabulary": ["Contoso"],
        "metadata": {"transcription_model": "gpt-4o-transcribe"},
    }
    async with voice_live(config) as (_, line):
        assert {w.code for w in line.of(ev.SystemWarning)} == {"voice_mapped", "vocabulary_ignored"}
