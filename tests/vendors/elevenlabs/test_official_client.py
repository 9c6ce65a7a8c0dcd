"""The vendor's own client holds a conversation with the emulator: so the emulator speaks as the vendor does."""

from __future__ import annotations

import asyncio
import queue
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.signal import speak, understand
from voxengine.testing.emulators.elevenlabs import ElevenLabsEmulator
from voxengine.testing.emulators.elevenlabs.emulator import AGENT

with warnings.catch_warnings():
    # It imports a part of `websockets` that is to go.
    warnings.simplefilter("ignore", DeprecationWarning)
    from elevenlabs import ElevenLabs
    from elevenlabs.conversational_ai.conversation import (
        AudioInterface,
        ClientTools,
        Conversation,
        ConversationInitiationData,
    )

#: The client has threads of its own, and uses parts of `websockets` that are to go.
pytestmark = [
    pytest.mark.real_clock,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

PCM = AudioFormat("pcm16", 16000)
KEY = "xi-secret"
ANSWERS: dict[str, Any] = {
    "look it up": {"tool": {"name": "look", "arguments": {"what": "it"}}, "then": "found {output}"},
    "tell me more": " ".join(f"word{n}" for n in range(10, 40)),
}


class Ear(AudioInterface):
    """A microphone into which words are put, and a loudspeaker that keeps what it is given."""

    def __init__(self) -> None:
        self._played = bytearray()
        self._more = threading.Condition()
        self._started = threading.Event()
        self.interrupted = threading.Event()
        self._speak: Callable[[bytes], None] | None = None

    def start(self, input_callback: Callable[[bytes], None]) -> None:
        self._speak = input_callback
        self._started.set()

    def stop(self) -> None:
        self._speak = None

    def output(self, audio: bytes) -> None:
        with self._more:
            self._played += audio
            self._more.notify()

    def interrupt(self) -> None:
        self.interrupted.set()

    def heard(self, words: str) -> bool:
        """Whether just these are heard, within some seconds."""
        with self._more:
            return self._more.wait_for(lambda: understand(bytes(self._played), PCM) == words, 10)

    def say(self, words: str) -> None:
        audio = speak(words, PCM) + silence(900, PCM)
        assert self._started.wait(10)
        assert self._speak is not None
        for at in range(0, len(audio), 8000):
            self._speak(audio[at : at + 8000])


def talk(emulator: ElevenLabsEmulator) -> dict[str, Any]:
    """On a thread: a conversation with a tool and an interruption."""
    ear, tools = Ear(), ClientTools()
    user: queue.Queue[str] = queue.Queue()
    said: queue.Queue[str] = queue.Queue()
    corrected: queue.Queue[tuple[str, str]] = queue.Queue()
    placed: queue.Queue[Any] = queue.Queue()
    tools.register("look", lambda parameters: f"a pen, {parameters['what']}")
    conversation = Conversation(
        ElevenLabs(api_key=KEY, base_url=emulator.http_url),
        AGENT,
        requires_auth=True,
        audio_interface=ear,
        client_tools=tools,
        config=ConversationInitiationData(
            conversation_config_override={"agent": {"prompt": {"prompt": "Be brief."}}}
        ),
        callback_user_transcript=user.put,
        callback_agent_response=said.put,
        callback_agent_response_correction=lambda *texts: corrected.put(texts),
        callback_audio_alignment=placed.put,
    )
    conversation.start_session()
    ear.say("look it up")
    found: dict[str, Any] = {"user": user.get(timeout=10), "said": said.get(timeout=10)}
    found["alignment"] = placed.get(timeout=10)
    found["heard"] = ear.heard("found a pen, it")
    conversation.send_contextual_update("It is late.")
    conversation.register_user_activity()
    conversation.send_user_message("tell me more")
    assert said.get(timeout=10) == ANSWERS["tell me more"]
    placed.get(timeout=10)
    ear.say("stop it")
    # The answer before this one may have been playing still, when the text came.
    found["corrected"] = corrected.get(timeout=10)
    while found["corrected"][0] != ANSWERS["tell me more"]:
        found["corrected"] = corrected.get(timeout=10)
    assert ear.interrupted.wait(10)
    assert said.get(timeout=10) == "You said: stop it"
    conversation.end_session()
    found["id"] = conversation.wait_for_session_end()
    return found


async def test_it_is_heard_answered_calls_a_tool_and_interrupts():
    async with ElevenLabsEmulator(ANSWERS, key=KEY, pace=20.0, ping_s=0.5) as emulator:
        found = await asyncio.to_thread(talk, emulator)
        session = emulator.session
        assert found["user"] == "look it up"
        assert found["said"] == "found a pen, it"
        assert "".join(found["alignment"].chars).strip() == "found"
        original, heard = found["corrected"]
        assert original == ANSWERS["tell me more"]
        assert original.startswith(heard)
        assert len(heard) < len(original)
        assert found["id"] == session.conversation_id
        assert found["heard"]
        assert session.model.instructions == "Be brief."
        assert ("system", "It is late.") in session.model.memory
        assert session.activities == 1
        assert emulator.judge.violations == []
        assert set(emulator.judge.client_seen) == {
            "conversation_initiation_client_data",
            "user_audio_chunk",
            "client_tool_result",
            "contextual_update",
            "user_activity",
            "user_message",
            "pong",
        }
