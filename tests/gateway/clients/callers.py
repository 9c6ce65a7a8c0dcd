"""A person with the official `openai` client: speaks, listens, types."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from openai import AsyncOpenAI

from tests.gateway.clients.servers import Server
from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.signal import speak
from voxengine.audio.wav import load_speech

Event = dict[str, Any]
PCM24 = AudioFormat()
#: Seconds in which whatever is waited for has to come.
PATIENCE = 60.0
STEP_MS = 40.0


class Caller:
    """One connection. `log` is all that came, in order."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.log: list[Event] = []

    # -- listening

    async def until(self, *kinds: str) -> list[Event]:
        """All up to the next event of one of these types, that one included. An error is one, if it is asked for."""
        seen: list[Event] = []
        async with asyncio.timeout(PATIENCE):
            while True:
                event: Event = (await self.connection.recv()).to_dict()
                self.log.append(event)
                seen.append(event)
                assert event["type"] != "error" or "error" in kinds, event
                if event["type"] in kinds:
                    return seen

    async def get(self, *kinds: str) -> Event:
        return (await self.until(*kinds))[-1]

    async def answer(self) -> list[Event]:
        """All up to the end of the next response."""
        return await self.until("response.done")

    async def quiet(self, seconds: float) -> list[Event]:
        """All that comes within so many seconds."""
        seen: list[Event] = []
        end = asyncio.get_running_loop().time() + seconds
        while True:
            try:
                async with asyncio.timeout_at(end):
                    event: Event = (await self.connection.recv()).to_dict()
            except TimeoutError:
                return seen
            self.log.append(event)
            seen.append(event)

    # -- speaking

    async def play(self, audio: bytes, format: AudioFormat = PCM24) -> None:
        """Send audio at the pace at which it was spoken."""
        size = format.n_bytes(STEP_MS)
        for start in range(0, len(audio), size):
            piece = base64.b64encode(audio[start : start + size]).decode()
            await self.connection.input_audio_buffer.append(audio=piece)
            await asyncio.sleep(STEP_MS / 1000)

    async def say(
        self, what: str | Path, format: AudioFormat = PCM24, pause_ms: float = 2000
    ) -> None:
        """Speak, in synthetic words or by a recording, and be silent."""
        audio = load_speech(what, format) if isinstance(what, Path) else speak(what, format)
        await self.play(audio + silence(pause_ms, format), format)

    async def type(self, text: str, **item: Any) -> Event:
        """Add a text of the user's; the item, as it was told."""
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content, **item}
        await self.connection.conversation.item.create(item=item)
        done = await self.get("conversation.item.done")
        told: Event = done["item"]
        assert told["content"][0]["text"] == text
        return told

    # -- settings

    async def update(self, **session: Any) -> Event:
        await self.connection.session.update(session={"type": "realtime", **session})
        updated: Event = (await self.get("session.updated"))["session"]
        return updated

    async def transcribed(self, **session: Any) -> Event:
        """Let what is said be written down, with other settings."""
        audio = session.pop("audio", {})
        inner = {"transcription": {"model": "gpt-4o-transcribe"}, **audio.pop("input", {})}
        return await self.update(audio={"input": inner, **audio}, **session)


def of(events: list[Event], kind: str) -> list[Event]:
    return [event for event in events if event["type"] == kind]


def sound(events: list[Event]) -> bytes:
    """The audio that these events carry."""
    deltas = of(events, "response.output_audio.delta")
    return b"".join(base64.b64decode(event["delta"]) for event in deltas)


def spoken(events: list[Event]) -> str:
    """The words that went with it."""
    done = of(events, "response.output_audio_transcript.done")
    return " ".join(event["transcript"] for event in done)


def user_words(events: list[Event]) -> list[str]:
    name = "conversation.item.input_audio_transcription.completed"
    return [event["transcript"] for event in of(events, name)]


@asynccontextmanager
async def calling(server: Server, model: str, **query: str) -> AsyncIterator[Caller]:
    """A call by the official client, after its `session.created`."""
    async with AsyncOpenAI(base_url=server.http, api_key="anything") as client:
        connecting = client.realtime.connect(model=model, extra_query=dict(query))
        async with connecting as connection:
            caller = Caller(connection)
            await caller.until("session.created")
            yield caller
