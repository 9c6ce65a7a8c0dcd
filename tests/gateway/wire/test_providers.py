"""The same talk on every provider that speaks OpenAI's wire itself, by emulators; and OpenAI's own client in front."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from openai import AsyncOpenAI

from tests.gateway.test_serving import served
from tests.gateway.wire.talking import PCM24, Talker, talking
from tests.gateway.wire.test_input import MANUAL, WHISPER, words
from voxengine.audio.level import silence
from voxengine.audio.signal import speak
from voxengine.testing.emulators.openai import OpenAIEmulator

DIALECTS = ["openai", "azure", "xai", "custom"]
#: The two that differ.
TWO = ["openai", "xai"]


@asynccontextmanager
async def talking_to(dialect: str) -> AsyncIterator[tuple[Talker, OpenAIEmulator]]:
    async with OpenAIEmulator(dialect) as emulator:
        content = {
            "providers": {"one": {"provider": dialect, "metadata": emulator.metadata}},
            "routes": {"play": {"providers": ["one"]}},
        }
        async with talking(content=content, settings={"api_key": "sk-emulated"}) as client:
            yield client, emulator


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_turn_on_every_dialect(dialect: str):
    async with talking_to(dialect) as (client, _):
        client.update(audio={"input": WHISPER})
        await client.speak("hello over there")
        done = await client.told("response.done")
        assert done["response"]["status"] == "completed"
        assert client.types("input_audio_buffer.") == [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
        ]
        await client.told("conversation.item.input_audio_transcription.completed")
        assert words(client) == "hello over there"
        assert client.errors == []


@pytest.mark.parametrize("dialect", TWO)
async def test_turns_by_hand_on_every_dialect(dialect: str):
    async with talking_to(dialect) as (client, _):
        client.update(**MANUAL)
        await client.speak("no", pause_ms=100)
        client.say("input_audio_buffer.clear")
        await client.speak("hello", pause_ms=200)
        client.say("input_audio_buffer.commit")
        await client.told("input_audio_buffer.committed")
        await asyncio.sleep(3)
        assert client.types("response.") == []
        client.say("response.create")
        await client.told("response.done")
        await client.told("conversation.item.input_audio_transcription.completed")
        assert words(client) == "hello"
        assert client.errors == []


@pytest.mark.parametrize("dialect", TWO)
async def test_turns_without_an_answer_on_every_dialect(dialect: str):
    async with talking_to(dialect) as (client, _):
        vad = {"type": "server_vad", "create_response": False, "silence_duration_ms": 300}
        client.update(audio={"input": {"turn_detection": vad}})
        await client.speak("hello")
        await client.told("input_audio_buffer.committed")
        await asyncio.sleep(20)
        assert client.types("response.", "error") == []
        client.say("response.create")
        await client.told("response.done")
        assert client.errors == []


async def test_the_users_silence_is_told():
    async with talking_to("openai") as (client, _):
        vad = {"type": "server_vad", "idle_timeout_ms": 5000}
        client.update(audio={"input": {"turn_detection": vad}})
        await client.speak("hello")
        await client.told("response.done")
        for _ in range(500):
            client.append(silence(20, PCM24))
            await asyncio.sleep(0.02)
        timeout = await client.told("input_audio_buffer.timeout_triggered")
        assert timeout["audio_end_ms"] > timeout["audio_start_ms"] > 0
        committed = await client.told("input_audio_buffer.committed", 2)
        assert committed["item_id"] == timeout["item_id"]
        await client.told("response.done", 2)
        assert client.errors == []


async def test_a_turn_without_a_word_is_told_and_taken_back():
    async with talking_to("openai") as (client, _):
        client.update(**MANUAL)
        for n in (1, 2):
            client.append(silence(300, PCM24))
            client.say("input_audio_buffer.commit")
            committed = await client.told("input_audio_buffer.committed", n)
            deleted = await client.told("conversation.item.deleted", n)
            assert deleted["item_id"] == committed["item_id"]
            kinds = [
                event["type"]
                for event in client.events
                if committed["item_id"] in (event.get("item_id"), event.get("item", {}).get("id"))
            ]
            assert kinds == [
                "input_audio_buffer.committed",
                "conversation.item.added",
                "conversation.item.done",
                "conversation.item.input_audio_transcription.completed",
                "conversation.item.deleted",
            ]
            assert list(client.call.engine.conversation) == []
            assert committed["previous_item_id"] is None
        assert client.errors == []


async def test_positions_are_the_clients_after_a_switch():
    async with OpenAIEmulator() as emulator:
        content = {
            "providers": {
                "one": {"provider": "mock"},
                "two": {"provider": "openai", "metadata": emulator.metadata},
            },
            "routes": {"play": {"providers": ["one"]}, "other": {"providers": ["two"]}},
        }
        async with talking(content=content, settings={"api_key": "sk-emulated"}) as client:
            await client.speak("", pause_ms=3000)
            config: Any = client.call.engine.config.with_changes(metadata=emulator.metadata)
            await client.call.engine.switch_provider("openai", config)
            await client.speak("hello")
            started = await client.told("input_audio_buffer.speech_started")
            assert started["audio_start_ms"] == pytest.approx(3000, abs=300)


@pytest.mark.real_clock
async def test_openais_own_client_talks_by_a_socket():
    async with served(vad="energy") as server:
        client = AsyncOpenAI(api_key="none", base_url=f"{server.http}/v1")
        async with client.realtime.connect(model="play") as connection:
            session: Any = {"type": "realtime", "audio": {"input": WHISPER}}
            await connection.session.update(session=session)
            audio = speak("hello there", PCM24) + silence(1000, PCM24)
            for start in range(0, len(audio), 4800):
                piece = base64.b64encode(audio[start : start + 4800]).decode()
                await connection.input_audio_buffer.append(audio=piece)
            seen: list[str] = []
            async with asyncio.timeout(20):
                async for event in connection:
                    seen.append(event.type)
                    if event.type == "conversation.item.input_audio_transcription.completed":
                        assert event.transcript == "hello there"
                    if event.type == "response.done":
                        break
            assert "input_audio_buffer.speech_started" in seen
            assert "conversation.item.input_audio_transcription.completed" in seen
            assert "error" not in seen
        await client.close()
