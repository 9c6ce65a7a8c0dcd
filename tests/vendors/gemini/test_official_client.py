"""Google's own client against the emulated Gemini Live, over TLS, which it insists on."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trustme
from google import genai
from google.genai import types

from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.signal import speak, understand
from voxengine.testing.emulators.gemini import GeminiEmulator

IN, OUT = AudioFormat("pcm16", 16000), AudioFormat("pcm16", 24000)
ANSWERS: dict[str, Any] = {
    "hello": "hi there",
    "look it up": {"tool": {"name": "look", "arguments": {"at": 1}}, "then": "found {output}"},
}


@asynccontextmanager
async def session(**config: Any) -> AsyncIterator[tuple[Any, GeminiEmulator]]:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    async with GeminiEmulator(ANSWERS, key="k", tls=server) as emulator:
        options = types.HttpOptions(
            base_url=emulator.http_url, async_client_args={"ssl": client}, api_version="v1beta"
        )
        google = genai.Client(api_key="k", vertexai=False, http_options=options)
        try:
            wanted = types.LiveConnectConfig(response_modalities=[types.Modality.AUDIO], **config)
            live = google.aio.live
            async with live.connect(model="gemini-3.8-live", config=wanted) as opened:
                yield opened, emulator
        finally:
            await google.aio.aclose()
            google.close()


async def answer(opened: Any) -> tuple[str, str, list[Any]]:
    """What it says, the same as its audio is understood, and all messages."""
    said, audio, messages = "", b"", []
    async with asyncio.timeout(30):
        async for message in opened.receive():
            messages.append(message)
            content = message.server_content
            if content is not None and content.output_transcription is not None:
                said += content.output_transcription.text or ""
            audio += message.data or b""
    return said, understand(audio, OUT), messages


async def test_it_is_written_to():
    async with session(output_audio_transcription={}, session_resumption={}) as (opened, _):
        turn = types.Content(role="user", parts=[types.Part(text="hello")])
        await opened.send_client_content(turns=turn, turn_complete=True)
        said, heard, messages = await answer(opened)
        assert said == heard == "hi there"
        assert messages[-1].server_content.turn_complete
        assert messages[-1].usage_metadata.response_token_count > 0


async def test_it_is_spoken_to():
    config: dict[str, Any] = {"input_audio_transcription": {}, "output_audio_transcription": {}}
    async with session(**config) as (opened, emulator):
        audio = speak("hello", IN) + silence(1000, IN)
        for at in range(0, len(audio), 3200):
            blob = types.Blob(data=audio[at : at + 3200], mime_type="audio/pcm;rate=16000")
            await opened.send_realtime_input(audio=blob)
        said, _, messages = await answer(opened)
        assert said == "hi there"
        heard = [
            m.server_content.input_transcription.text
            for m in messages
            if m.server_content is not None and m.server_content.input_transcription is not None
        ]
        assert "".join(filter(None, heard)) == "hello"
        assert emulator.session.model.memory[0] == ("user", "hello")


async def test_it_calls_a_function_and_knows_the_past():
    look = types.FunctionDeclaration(name="look", description="Looks.")
    config: dict[str, Any] = {
        "tools": [types.Tool(function_declarations=[look])],
        "history_config": types.HistoryConfig(initial_history_in_client_content=True),
        "output_audio_transcription": {},
    }
    async with session(**config) as (opened, emulator):
        past = [
            types.Content(role="user", parts=[types.Part(text="my name is ada")]),
            types.Content(role="model", parts=[types.Part(text="hello ada")]),
        ]
        await opened.send_client_content(turns=past, turn_complete=True)
        turn = types.Content(role="user", parts=[types.Part(text="look it up")])
        await opened.send_client_content(turns=turn, turn_complete=True)
        said, messages = "", opened.receive()
        async with asyncio.timeout(30):
            async for message in messages:
                if message.tool_call is not None:
                    (call,) = message.tool_call.function_calls
                    assert (call.name, call.args) == ("look", {"at": 1})
                    result = types.FunctionResponse(
                        id=call.id, name=call.name, response={"output": "gold"}
                    )
                    await opened.send_tool_response(function_responses=result)
                content = message.server_content
                if content is not None and content.output_transcription is not None:
                    said += content.output_transcription.text or ""
        assert said == "found gold"
        assert emulator.session.model.memory[:2] == [
            ("user", "my name is ada"),
            ("assistant", "hello ada"),
        ]
