"""The vendor's own client holds a conversation with the emulator: so the emulator speaks as the vendor does."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.signal import speak, understand

pytest.importorskip("azure.ai.voicelive.aio")

from azure.ai.voicelive import models
from azure.ai.voicelive.aio import connect
from azure.core.credentials import AzureKeyCredential

from voxengine.testing.emulators.azure_voice_live import VoiceLiveEmulator

PCM = AudioFormat("pcm16", 24000)
KEY = "azure-secret"
ANSWERS: dict[str, Any] = {
    "tell me more": " ".join(f"word{n}" for n in range(10, 40)),
    "look it up": {"tool": {"name": "look", "arguments": {}}, "then": "found {output}"},
}


async def until(connection: Any, kind: str) -> list[Any]:
    seen: list[Any] = []
    async with asyncio.timeout(30):
        while not seen or seen[-1].type != kind:
            seen.append(await connection.recv())
    return seen


def of(seen: list[Any], kind: str) -> list[Any]:
    return [event for event in seen if event.type == kind]


async def test_it_is_heard_answered_interrupted_and_calls_a_tool():
    async with (
        VoiceLiveEmulator(ANSWERS, key=KEY) as emulator,
        connect(
            endpoint=emulator.http_url, credential=AzureKeyCredential(KEY), model="gpt-realtime"
        ) as connection,
    ):
        await until(connection, "session.created")
        session = models.RequestSession(
            modalities=[models.Modality.TEXT, models.Modality.AUDIO],
            voice=models.AzureStandardVoice(name="en-US-AvaNeural"),
            turn_detection=models.AzureSemanticVad(silence_duration_ms=400),
            input_audio_transcription=models.AudioInputTranscriptionOptions(model="azure-speech"),
            output_audio_timestamp_types=[models.AudioTimestampType.WORD],
            tools=[models.FunctionTool(name="look", parameters={"type": "object"})],
        )
        await connection.session.update(session=session)
        updated = (await until(connection, "session.updated"))[-1]
        assert updated.session.voice["name"] == "en-US-AvaNeural"

        spoken = speak("good morning", PCM) + silence(1000, PCM)
        size = PCM.n_bytes(100)
        for at in range(0, len(spoken), size):
            audio = base64.b64encode(spoken[at : at + size]).decode()
            await connection.input_audio_buffer.append(audio=audio)
            await asyncio.sleep(0.1)
        seen = await until(connection, "response.done")
        name = "conversation.item.input_audio_transcription.completed"
        assert of(seen, name)[0].transcript == "good morning"
        said = b"".join(event.delta for event in of(seen, "response.audio.delta"))
        assert understand(said, PCM) == "You said: good morning"
        words = [event.text for event in of(seen, "response.audio_timestamp.delta")]
        assert words == ["You", "said", "good", "morning"]
        assert seen[-1].response.usage.output_token_details.audio_tokens > 0

        text = models.InputTextContentPart(text="tell me more")
        await connection.conversation.item.create(item=models.UserMessageItem(content=[text]))
        await connection.response.create()
        item_id = (await until(connection, "response.audio.delta"))[-1].item_id
        await connection.response.cancel()
        assert (await until(connection, "response.done"))[-1].response.status == "cancelled"
        await connection.conversation.item.truncate(
            item_id=item_id, audio_end_ms=50, content_index=0
        )
        await until(connection, "conversation.item.truncated")

        text = models.InputTextContentPart(text="look it up")
        await connection.conversation.item.create(item=models.UserMessageItem(content=[text]))
        await connection.response.create()
        call = (await until(connection, "response.function_call_arguments.done"))[-1]
        assert call.name == "look"
        await until(connection, "response.done")
        result = models.FunctionCallOutputItem(call_id=call.call_id, output="it")
        await connection.conversation.item.create(item=result)
        await connection.response.create()
        seen = await until(connection, "response.done")
        assert of(seen, "response.audio_transcript.done")[0].transcript == "found it"

        await connection.response.cancel()
        refused = (await until(connection, "error"))[-1]
        assert refused.error.code == "response_cancel_not_active"
        assert emulator.judge.violations == []
        assert emulator.judge.figures()["client_events"] == 6
    # The client lets its heartbeat beat once more.
    await asyncio.sleep(60)


async def test_a_wrong_key_is_refused():
    async with VoiceLiveEmulator(key=KEY) as emulator:
        with pytest.raises(Exception, match="401"):
            async with connect(
                endpoint=emulator.http_url, credential=AzureKeyCredential("no"), model="m"
            ):
                pass
