"""The vendor's own clients against the emulator: `openai`, and the voice sessions of `openai-agents`.

They validate next to nothing, so what counts is the judge: it has seen every message of both sides.
"""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.emulators.test_openai_conversation import OUTSIDE
from tests.emulators.wire import KEY, PCM24, WEATHER, audio_of, connected, silence
from voxengine.audio.signal import speak, understand
from voxengine.testing.emulators.openai import OpenAIEmulator

openai = pytest.importorskip("openai")

RESPONSES = {
    "what is the weather in Oslo?": {
        "tool": {"name": "weather", "arguments": {"city": "Oslo"}},
        "then": "It is {output} in Oslo",
    },
    "good morning": "Good morning to you",
    "write to me": "Here is a letter",
}


class Client:
    """A conversation held with the official client."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.log: list[dict[str, Any]] = []

    async def until(self, kind: str) -> list[dict[str, Any]]:
        seen = []
        while True:
            event = (await self.connection.recv()).to_dict()
            self.log.append(event)
            seen.append(event)
            assert event["type"] != "error", event
            if event["type"] == kind:
                return seen

    async def say(self, text: str) -> None:
        audio = speak(text, PCM24) + silence(1000)
        for i in range(0, len(audio), 4800):
            piece = base64.b64encode(audio[i : i + 4800]).decode()
            await self.connection.input_audio_buffer.append(audio=piece)


def _valid(emulator: OpenAIEmulator) -> None:
    judge = emulator.judge
    assert judge is not None
    assert judge.violations == []
    assert judge.server_valid == judge.server_seen.total() > 0
    assert all(not session.refused for session in emulator.sessions)


async def test_openai_holds_a_whole_conversation():
    async with OpenAIEmulator(responses=RESPONSES) as emulator:
        vendor = openai.AsyncOpenAI(base_url=emulator.http_url, api_key=KEY)
        async with vendor.realtime.connect(model="gpt-realtime") as connection:
            client = Client(connection)
            await client.until("session.created")
            await connection.session.update(
                session={
                    "type": "realtime",
                    "audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}},
                    "tools": [WEATHER],
                }
            )
            await client.until("session.updated")
            # Spoken both ways.
            await client.say("good morning")
            seen = await client.until("response.done")
            name = "conversation.item.input_audio_transcription.completed"
            assert [e["transcript"] for e in seen if e["type"] == name] == ["good morning"]
            assert understand(audio_of(seen), PCM24) == "Good morning to you"
            # A tool.
            await client.say("what is the weather in Oslo?")
            seen = await client.until("response.done")
            call = next(e for e in seen if e["type"] == "response.function_call_arguments.done")
            assert (call["name"], call["arguments"]) == ("weather", '{"city": "Oslo"}')
            await connection.conversation.item.create(
                item={"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
            )
            await connection.response.create()
            seen = await client.until("response.done")
            assert understand(audio_of(seen), PCM24) == "It is sunny in Oslo"
            # What was not heard is cut off, and can be looked at.
            item_id = seen[-1]["response"]["output"][0]["id"]
            await connection.conversation.item.truncate(
                item_id=item_id, content_index=0, audio_end_ms=750
            )
            await client.until("conversation.item.truncated")
            await connection.conversation.item.retrieve(item_id=item_id)
            item = (await client.until("conversation.item.retrieved"))[-1]["item"]
            assert understand(base64.b64decode(item["content"][0]["audio"]), PCM24) == "It is"
            # In writing.
            await connection.conversation.item.create(
                item={
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "write to me"}],
                }
            )
            await connection.response.create(response={"output_modalities": ["text"]})
            seen = await client.until("response.done")
            assert seen[-1]["response"]["output"][0]["content"][0]["text"] == "Here is a letter"
            # Cancelled in the middle.
            await connection.response.create()
            await client.until("response.output_audio.delta")
            await connection.response.cancel()
            assert (await client.until("response.done"))[-1]["response"]["status"] == "cancelled"
        _valid(emulator)
        await vendor.close()


async def test_openai_makes_an_ephemeral_key():
    async with OpenAIEmulator() as emulator:
        vendor = openai.AsyncOpenAI(base_url=emulator.http_url, api_key=KEY)
        made = await vendor.realtime.client_secrets.create(
            expires_after={"anchor": "created_at", "seconds": 60},
            session={"type": "realtime", "model": "gpt-realtime"},
        )
        assert made.session.type == "realtime"
        assert type(made).model_validate(made.to_dict(), strict=True) == made
        guest = openai.AsyncOpenAI(base_url=emulator.http_url, api_key=made.value)
        async with guest.realtime.connect(model="gpt-realtime") as connection:
            assert (await connection.recv()).type == "session.created"
        with pytest.raises(openai.AuthenticationError):
            await guest.realtime.client_secrets.create()
        await guest.close()
        await vendor.close()


@pytest.mark.parametrize(
    ("dialect", "options"), [("azure", {"extra_headers": {"api-key": KEY}}), ("xai", {})]
)
async def test_openai_speaks_with_the_dialects(dialect, options):
    async with OpenAIEmulator(dialect) as emulator:
        vendor = openai.AsyncOpenAI(base_url=emulator.http_url, api_key=KEY)
        async with vendor.realtime.connect(model="a-deployment", **options) as connection:
            client = Client(connection)
            await client.until("session.created")
            await client.say("good morning")
            seen = await client.until("response.done")
            assert understand(audio_of(seen), PCM24) == "You said: good morning"
        _valid(emulator)
        await vendor.close()


async def test_agents_hold_a_conversation_with_a_tool():
    realtime = pytest.importorskip("agents.realtime")
    agents = pytest.importorskip("agents")
    asked: list[str] = []

    @agents.function_tool  # type: ignore[untyped-decorator] # it may not be installed
    async def weather(city: str) -> str:
        """Tells the weather."""
        asked.append(city)
        return "sunny"

    async with OpenAIEmulator(responses=RESPONSES) as emulator:
        agent = realtime.RealtimeAgent(name="guide", instructions="Be kind.", tools=[weather])
        runner = realtime.RealtimeRunner(agent, model=realtime.OpenAIRealtimeWebSocketModel())
        url = f"{emulator.endpoint}/realtime?model=gpt-realtime"
        session = await runner.run(
            model_config={
                "url": url,
                "api_key": KEY,
                "initial_model_settings": {
                    "model_name": "gpt-realtime",
                    "voice": "marin",
                    "modalities": ["audio"],
                },
            }
        )
        said: list[bytes] = []
        async with session:
            await session.send_audio(speak("what is the weather in Oslo?", PCM24) + silence(1000))
            ends = 0
            async for event in session:
                assert event.type != "error", event
                if event.type == "audio":
                    said.append(event.audio.data)
                ends += event.type == "audio_end"
                if ends:
                    break
        assert asked == ["Oslo"]
        assert understand(b"".join(said), PCM24) == "It is sunny in Oslo"
        assert emulator.sessions[0].config["instructions"] == "Be kind."
        assert emulator.sessions[0].config["audio"]["output"]["voice"] == "marin"
        _valid(emulator)


async def test_all_events_of_the_vendor_are_spoken():
    """Every event of the server is sent somewhere, and every event of the client is handled."""
    from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent

    from voxengine.testing.oracles.vendor import models_by_type

    responses = {**RESPONSES, "mumble": "Pardon?"}
    async with (
        OpenAIEmulator(responses=responses, transcripts=[None]) as emulator,
        connected(emulator) as wire,
    ):
        vad = {"type": "server_vad", "idle_timeout_ms": 5000}
        await wire.update(
            tools=[WEATHER],
            audio={
                "input": {"transcription": {"model": "gpt-4o-transcribe"}, "turn_detection": vad}
            },
        )
        await wire.say("what is the weather in Oslo?")
        await wire.until("response.done")
        await wire.until("input_audio_buffer.timeout_triggered")
        await wire.until("conversation.item.input_audio_transcription.failed")
        await wire.until("response.done")
        done = await wire.respond(output_modalities=["text"])
        await wire.send("response.create")
        await wire.get("response.output_audio.delta")
        await wire.send("response.cancel")
        await wire.get("response.done")
        item_id = emulator.sessions[0].items[-1].id
        cut = {"item_id": item_id, "content_index": 0, "audio_end_ms": 0}
        await wire.ask("conversation.item.truncate", "conversation.item.truncated", **cut)
        await wire.ask("conversation.item.retrieve", "conversation.item.retrieved", item_id=item_id)
        await wire.ask("conversation.item.delete", "conversation.item.deleted", item_id=item_id)
        await wire.ask("input_audio_buffer.clear", "input_audio_buffer.cleared")
        await wire.complaint("input_audio_buffer.commit")
        await wire.complaint("output_audio_buffer.clear")
        await wire.text("done")
        conversation = {"id": "conv_1", "object": "realtime.conversation"}
        outside = [*OUTSIDE, {"type": "conversation.created", "conversation": conversation}]
        for event in outside:
            emulator.sessions[0].send(event)
            await wire.recv()
        assert done[-1]["response"]["status"] == "completed"
        judge = emulator.judge
        assert judge is not None
        assert set(models_by_type(RealtimeServerEvent)) - set(judge.server_seen) == set()
        assert set(models_by_type(RealtimeClientEvent)) - set(judge.client_seen) == set()
        assert len(judge.server_seen) == 46
        assert len(judge.client_seen) == 11
