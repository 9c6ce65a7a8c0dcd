"""The voice sessions of `openai-agents` against the gateway: its runner, its tools, its interruptions, its history."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.gateway.clients.providers import FORWARD, STORY
from tests.gateway.clients.servers import Server, serving
from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import rms_db, silence
from voxengine.audio.signal import speak, understand
from voxengine.audio.wav import load_speech

realtime = pytest.importorskip("agents.realtime")
agents = pytest.importorskip("agents")

PCM24 = AudioFormat()
PATIENCE = 60.0
NAMES = ["mock", "cascade", "openai", "xai"]
LOCAL = pytest.param("local", marks=[pytest.mark.models, pytest.mark.timeout(180)])


class Talk:
    """A session of the runner. `events` is all that it told."""

    def __init__(self, session: Any, server: Server) -> None:
        self.session = session
        self.server = server
        self.events: list[Any] = []
        #: What was played to the user of the item that came last.
        self.tracker: Any = None
        self._stream = session.__aiter__()

    async def until(self, kind: str) -> list[Any]:
        """All up to the next event of this type."""
        seen: list[Any] = []
        async with asyncio.timeout(PATIENCE):
            async for event in self._stream:
                self.events.append(event)
                seen.append(event)
                assert event.type != "error", event
                if event.type == kind:
                    return seen
        raise AssertionError("the session ended")

    async def play(self, audio: bytes) -> None:
        size = PCM24.n_bytes(40)
        for start in range(0, len(audio), size):
            await self.session.send_audio(audio[start : start + size])
            await asyncio.sleep(0.04)

    @property
    def history(self) -> list[tuple[str, str]]:
        """Roles and words, as the runner has them."""
        found = []
        for item in self.session._history:
            if item.type == "message":
                part = item.content[0]
                words = getattr(part, "transcript", None) or getattr(part, "text", None) or ""
                found.append((item.role, words))
            else:
                found.append(("tool", f"{item.name} {item.output}"))
        return found


@asynccontextmanager
async def talking(
    name: str, *tools: Any, model: str | None = None, **options: Any
) -> AsyncIterator[Talk]:
    """A session of an agent with these tools; `model`: what the session is told to ask for."""
    async with serving(name, recording=FORWARD, **options) as server:
        agent = realtime.RealtimeAgent(name="guide", instructions="Be kind.", tools=list(tools))
        tracker = realtime.RealtimePlaybackTracker()
        settings: dict[str, Any] = {"model_name": model or name, "modalities": ["audio"]}
        runner = realtime.RealtimeRunner(agent, model=realtime.OpenAIRealtimeWebSocketModel())
        session = await runner.run(
            model_config={
                "url": f"{server.websocket}?model={model or name}",
                "api_key": "anything",
                "playback_tracker": tracker,
                "initial_model_settings": settings,
            }
        )
        async with session:
            talk = Talk(session, server)
            talk.tracker = tracker
            yield talk


def sound(events: list[Any]) -> bytes:
    return b"".join(event.audio.data for event in events if event.type == "audio")


def heard(events: list[Any]) -> str:
    return understand(sound(events), PCM24)


def loudness(events: list[Any]) -> float:
    return rms_db(sound(events), PCM24)


@pytest.mark.parametrize("name", [*NAMES, LOCAL])
async def test_a_command_that_a_person_speaks_runs_a_tool(name: str):
    moves: list[tuple[str, float]] = []

    @agents.function_tool  # type: ignore[untyped-decorator]
    async def move(direction: str, distance: float, unit: str) -> str:
        """Moves the vehicle."""
        moves.append((direction, distance))
        return "arrived"

    async with talking(name, move, revising=name == "local") as talk:
        speaking = asyncio.create_task(
            talk.play(load_speech(FORWARD, PCM24) + silence(8000, PCM24))
        )
        seen = await talk.until("tool_end")
        seen += await talk.until("audio_end")
        await speaking
        assert moves == [("forward", 10.0)]
        # Only synthetic speech can be read back exactly.
        assert "ten meters" in heard(seen).lower() or (name == "local" and loudness(seen) > -40)
        await talk.session.send_message("tell me a story")
        await talk.until("audio_end")
        roles = [role for role, _ in talk.history]
        assert roles == ["user", "tool", "assistant", "user", "assistant"]
        words = [words for _, words in talk.history]
        said = words[0].lower().rstrip(".").replace("10", "ten")
        assert said == "go forward ten meters"
        assert words[1] == "move arrived"
        assert words[2].lower().startswith("going forward ten meters")
        assert words[3] == "tell me a story"
        assert words[4].startswith("Then let me tell you" if name == "local" else STORY[:20])
        (update, *_) = talk.server.records[0].asked
        assert update["session"]["instructions"] == "Be kind."


@pytest.mark.parametrize("name", NAMES)
async def test_the_user_interrupts_and_the_rest_was_not_heard(name: str):
    async with talking(name) as talk:
        await talk.session.send_message("tell me a story")
        seen = await talk.until("audio")
        played = seen[-1].audio
        talk.tracker.on_play_ms(played.item_id, played.content_index, 1800.0)
        await asyncio.sleep(1.5)
        speaking = asyncio.create_task(talk.play(speak("stop it", PCM24) + silence(8000, PCM24)))
        await talk.until("audio_interrupted")
        await speaking
        await talk.until("audio_end")

        (truncate,) = [
            event
            for event in talk.server.records[0].asked
            if event["type"] == "conversation.item.truncate"
        ]
        assert truncate["item_id"] == played.item_id
        assert truncate["audio_end_ms"] == 1800
        (call,) = talk.server.gateway.calls
        item = call.engine.conversation.get(played.item_id)
        assert item is not None
        assert STORY.startswith(item.text)
        assert 3 <= len(item.text.split()) <= 7
        assert call.engine.conversation.items[-1].text.lower().startswith("you said: stop it")


async def test_a_model_of_openais_is_the_default_route():
    async with talking("mock", model="gpt-realtime", default_route="mock") as talk:
        await talk.session.send_message("good morning")
        seen = await talk.until("audio_end")
        assert heard(seen) == "You said: good morning"
