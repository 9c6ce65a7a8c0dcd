"""The vendor's own client uses every interface of the emulator: so the emulator speaks as the vendor does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.signal import speak, understand
from voxengine.testing.emulators.deepgram import DeepgramEmulator

#: The client uses parts of `websockets` that are to go, and leaves sockets to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

PCM = AudioFormat("pcm16", 16000)
PCM24 = AudioFormat("pcm16", 24000)
KEY = "deepgram-secret"
ANSWERS: dict[str, Any] = {
    "look it up": {"tool": {"name": "look", "arguments": {}}, "then": "found {output}"},
}


def client(emulator: DeepgramEmulator, key: str = KEY) -> Any:
    from deepgram import AsyncDeepgramClient
    from deepgram.environment import DeepgramClientEnvironment

    http, ws = emulator.http_url, emulator.ws_url
    where = DeepgramClientEnvironment(base=http, production=ws, agent=ws, agent_rest=http)
    return AsyncDeepgramClient(api_key=key, environment=where)


async def until(socket: Any, kind: str, event: str | None = None) -> list[Any]:
    """All up to the first message of a type."""
    seen: list[Any] = []
    async with asyncio.timeout(30):
        while True:
            message = await socket.recv()
            seen.append(message)
            if isinstance(message, bytes):
                continue
            if message.type == kind and event in (None, getattr(message, "event", None)):
                return seen


def of(seen: list[Any], kind: str) -> list[Any]:
    return [m for m in seen if not isinstance(m, bytes) and m.type == kind]


def sound(seen: list[Any]) -> str:
    audio = b"".join(message for message in seen if isinstance(message, bytes))
    return understand(audio, PCM24)


async def feed(socket: Any, text: str, quiet_ms: float = 1000) -> None:
    audio = speak(text, PCM) + silence(quiet_ms, PCM)
    for at in range(0, len(audio), 640):
        await socket.send_media(audio[at : at + 640])
        await asyncio.sleep(0.02)


def settings() -> Any:
    from deepgram.agent.v1.types import AgentV1Settings

    listens = {"provider": {"type": "deepgram", "version": "v2", "model": "flux-general-en"}}
    thinks = {
        "provider": {"type": "open_ai", "model": "gpt-4o-mini"},
        "prompt": "Be brief.",
        "functions": [{"name": "look", "description": "", "parameters": {"type": "object"}}],
    }
    speaks = {"provider": {"type": "deepgram", "model": "aura-2-thalia-en"}}
    raw = {"encoding": "linear16", "sample_rate": 24000, "container": "none"}
    return AgentV1Settings.model_validate(
        {
            "type": "Settings",
            "audio": {"input": {"encoding": "linear16", "sample_rate": 16000}, "output": raw},
            "agent": {"listen": listens, "think": thinks, "speak": speaks},
        }
    )


async def test_the_agent_is_heard_answers_and_calls_a_tool():
    from deepgram.agent.v1.types import (
        AgentV1InjectAgentMessage,
        AgentV1InjectUserMessage,
        AgentV1SendFunctionCallResponse,
        AgentV1UpdatePrompt,
    )

    async with DeepgramEmulator(ANSWERS, key=KEY) as emulator:
        async with client(emulator).agent.v1.connect() as socket:
            (welcome,) = await until(socket, "Welcome")
            assert welcome.request_id
            await socket.send_settings(settings())
            await until(socket, "SettingsApplied")
            await feed(socket, "good morning")
            seen = await until(socket, "AgentAudioDone")
            assert seen[0].type == "UserStartedSpeaking"
            said = [(m.role, m.content) for m in of(seen, "ConversationText")]
            assert said == [("user", "good morning"), ("assistant", "You said: good morning")]
            assert len(of(seen, "History")) == 2, "the flag is on unless it is turned off"
            assert sound(seen) == "You said: good morning"

            await socket.send_inject_user_message(AgentV1InjectUserMessage(content="look it up"))
            seen = await until(socket, "FunctionCallRequest")
            (call,) = seen[-1].functions
            assert (call.name, call.client_side) == ("look", True)
            result = AgentV1SendFunctionCallResponse(id=call.id, name="look", content="it")
            await socket.send_function_call_response(result)
            seen = await until(socket, "AgentAudioDone")
            assert of(seen, "ConversationText")[0].content == "found it"

            await socket.send_update_prompt(AgentV1UpdatePrompt(prompt="Be long."))
            await until(socket, "PromptUpdated")
            await socket.send_keep_alive()
            await socket.send_inject_agent_message(AgentV1InjectAgentMessage(message="The end."))
            seen = await until(socket, "AgentAudioDone")
            assert sound(seen) == "The end."
        assert emulator.judge.violations == []


async def test_flux_listens():
    async with DeepgramEmulator(key=KEY) as emulator:
        listen = client(emulator).listen.v2
        async with listen.connect(
            model="flux-general-en",
            encoding="linear16",
            sample_rate=16000,
            eager_eot_threshold=0.5,
        ) as socket:
            await until(socket, "Connected")
            await feed(socket, "go forward")
            seen = await until(socket, "TurnInfo", "EndOfTurn")
            events = [m.event for m in seen]
            assert events[0] == "StartOfTurn"
            assert events[-2:] == ["EagerEndOfTurn", "EndOfTurn"]
            assert (seen[-1].transcript, seen[-1].trigger) == ("go forward", "model")
            assert [m.sequence_id for m in seen] == list(range(1, len(seen) + 1))
            await feed(socket, "and on", quiet_ms=0)
            await socket.send_force_end_turn()
            end = (await until(socket, "TurnInfo", "EndOfTurn"))[-1]
            assert (end.transcript, end.trigger, end.turn_index) == ("and on", "manual", 1)
            await socket.send_close_stream()
        assert emulator.judges["listen.v2"].violations == []


async def test_nova_listens():
    from deepgram.listen.v1.types import ListenV1Finalize, ListenV1KeepAlive

    async with DeepgramEmulator(key=KEY) as emulator:
        listen = client(emulator).listen.v1
        async with listen.connect(
            model="nova-3",
            encoding="linear16",
            sample_rate=16000,
            interim_results=True,
            vad_events=True,
            endpointing=300,
            utterance_end_ms=1000,
        ) as socket:
            await socket.send_keep_alive(ListenV1KeepAlive(type="KeepAlive"))
            await feed(socket, "go forward", quiet_ms=600)
            seen = await until(socket, "UtteranceEnd")
            assert seen[0].type == "SpeechStarted"
            results = of(seen, "Results")
            assert not results[0].is_final
            assert results[-1].speech_final
            assert results[-1].channel.alternatives[0].transcript == "go forward"
            await feed(socket, "and on", quiet_ms=0)
            await socket.send_finalize(ListenV1Finalize(type="Finalize"))
            while not of(seen, "Results")[-1].from_finalize:
                seen += await until(socket, "Results")
            assert of(seen, "Results")[-1].channel.alternatives[0].transcript == "and on"
            await socket.send_close_stream()
            metadata = (await until(socket, "Metadata"))[-1]
            assert metadata.duration > 1
        assert emulator.judges["listen.v1"].violations == []


async def test_aura_speaks():
    from deepgram.speak.v1.types import SpeakV1Text

    async with DeepgramEmulator(key=KEY) as emulator:
        speak_to = client(emulator).speak.v1
        async with speak_to.connect(
            model="aura-2-thalia-en", encoding="linear16", sample_rate=24000
        ) as socket:
            await until(socket, "Metadata")
            await socket.send_text(SpeakV1Text(text="one two three"))
            await socket.send_flush()
            seen = await until(socket, "Flushed")
            assert sound(seen) == "one two three"
            await socket.send_text(SpeakV1Text(text="four five six. "))
            await socket.send_clear()
            await until(socket, "Cleared")
            await socket.send_close()
        assert emulator.judges["speak.v1"].violations == []


async def test_flux_speaks_and_is_interrupted():
    from deepgram.speak.v2.types import (
        SpeakV2Interrupt,
        SpeakV2InterruptPlaybackOffset,
        SpeakV2Speak,
    )

    async with DeepgramEmulator(key=KEY) as emulator:
        speak_to = client(emulator).speak.v2
        async with speak_to.connect(model="flux-haley-en", sample_rate="24000") as socket:
            await until(socket, "Connected")
            await socket.send_speak(SpeakV2Speak(text="one two three"))
            await socket.send_flush()
            seen = await until(socket, "SpeechMetadata")
            assert sound(seen) == "one two three"
            assert seen[-1].billable_character_count == 13
            assert len(of(seen, "SpeechStarted")) == len(of(seen, "Flushed")) == 1
            offset = SpeakV2InterruptPlaybackOffset(value=700)
            await socket.send_interrupt(SpeakV2Interrupt(playback_offset=offset))
            heard = (await until(socket, "SpeechInterrupted"))[-1]
            assert f"{heard.text_spoken} {heard.text_remaining}" == "one two three"
            assert heard.audio_played_ms == 700
            await socket.send_interrupt(SpeakV2Interrupt(playback_offset=offset))
            assert (await until(socket, "Warning"))[-1].code == "INVALID_INTERRUPT_OFFSET"
            await socket.send_close()
            total = (await until(socket, "SessionMetadata"))[-1]
            assert total.total_input_character_count == 13
        assert emulator.judges["speak.v2"].violations == []


async def test_a_wrong_key():
    from deepgram.core.api_error import ApiError

    async with DeepgramEmulator(key=KEY) as emulator:
        with pytest.raises(ApiError) as refused:
            async with client(emulator, "wrong").agent.v1.connect():
                pass
        assert refused.value.status_code == 401
