"""The vendor's own client holds a conversation with the emulator: so the emulator speaks as the vendor does."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from hume import AsyncHumeClient
from hume.core.api_error import ApiError
from hume.empathic_voice.types import (
    AssistantInput,
    AudioConfiguration,
    AudioInput,
    SessionSettings,
    Tool,
    ToolResponseMessage,
    UserInput,
)
from hume.environment import HumeClientEnvironment

from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.signal import speak, understand
from voxengine.audio.wav import read_wav
from voxengine.testing.emulators.hume import HumeEmulator

#: The client uses parts of `websockets` and `pydantic` that are to go.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

PCM = AudioFormat("pcm16", 16000)
KEY = "hume-secret"
ANSWERS: dict[str, Any] = {
    "look it up": {"tool": {"name": "look", "arguments": {}}, "then": "found {output}"},
}


def client(emulator: HumeEmulator, key: str = KEY) -> AsyncHumeClient:
    base = emulator.http_url
    where = HumeClientEnvironment(base=base, evi=emulator.evi_url, tts=base, stream=base)
    return AsyncHumeClient(api_key=key, environment=where)


async def until(socket: Any, kind: str) -> list[Any]:
    seen: list[Any] = []
    async with asyncio.timeout(30):
        while not seen or seen[-1].type != kind:
            seen.append(await socket.recv())
    return seen


async def test_it_is_heard_answered_and_calls_a_tool():
    async with HumeEmulator(ANSWERS, key=KEY, emotions={"Joy": 0.9}) as emulator:
        async with client(emulator).empathic_voice.chat.connect(
            verbose_transcription=True
        ) as socket:
            (metadata,) = await until(socket, "chat_metadata")
            assert metadata.chat_id == emulator.session.chat_id
            tool = Tool(name="look", parameters="{}", type="function")
            audio = AudioConfiguration(channels=1, encoding="linear16", sample_rate=16000)
            await socket.send_publish(SessionSettings(audio=audio, tools=[tool]))

            spoken = speak("good morning", PCM) + silence(1000, PCM)
            for at in range(0, len(spoken), 640):
                data = base64.b64encode(spoken[at : at + 640]).decode()
                await socket.send_publish(AudioInput(data=data))
                await asyncio.sleep(0.02)
            seen = await until(socket, "assistant_end")
            heard = [e for e in seen if e.type == "user_message"]
            assert heard[0].interim
            assert not heard[-1].interim
            assert heard[-1].message.content == "good morning"
            assert heard[-1].models.prosody.scores.joy == 0.9
            pieces = [read_wav(base64.b64decode(e.data)) for e in seen if e.type == "audio_output"]
            said = b"".join(samples for samples, _ in pieces)
            assert understand(said, pieces[0][1]) == "You said: good morning"

            await socket.send_publish(UserInput(text="look it up"))
            call = (await until(socket, "tool_call"))[-1]
            result = ToolResponseMessage(tool_call_id=call.tool_call_id, content="it")
            await socket.send_publish(result)
            seen = await until(socket, "assistant_end")
            assert [e.message.content for e in seen if e.type == "assistant_message"] == [
                "found it"
            ]

            await socket.send_publish(AssistantInput(text="That is all."))
            seen = await until(socket, "assistant_end")
            assert seen[0].message.content == "That is all."
            group = metadata.chat_group_id
        await asyncio.sleep(0.1)
        chat = client(emulator).empathic_voice.chat
        async with chat.connect(resumed_chat_group_id=group) as socket:
            (again,) = await until(socket, "chat_metadata")
            assert again.chat_group_id == group
        assert emulator.judge.violations == []


async def test_a_wrong_key():
    async with HumeEmulator(key=KEY) as emulator:
        with pytest.raises(ApiError) as refused:
            async with client(emulator, "wrong").empathic_voice.chat.connect():
                pass
        assert refused.value.status_code == 401
