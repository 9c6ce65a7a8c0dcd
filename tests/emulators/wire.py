"""A client of raw messages: it knows nothing of the vendor's protocol but JSON."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import websockets
from websockets.asyncio.client import ClientConnection

from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import speak, understand
from voxengine.testing.emulators.openai import OpenAIEmulator

PCM24 = AudioFormat("pcm16", 24000)
KEY = "sk-emulated"
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "tells the weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
Event = dict[str, Any]


class Wire:
    """One connection. `log` is all that came, in order."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.log: list[Event] = []

    async def send(self, type: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": type, **fields}))

    async def recv(self) -> Event:
        event: Event = json.loads(await self.socket.recv())
        self.log.append(event)
        return event

    async def until(self, *types: str) -> list[Event]:
        """All up to the first event of one of these types, that one included."""
        seen = []
        while True:
            seen.append(await self.recv())
            if seen[-1]["type"] in types:
                return seen

    async def get(self, *types: str) -> Event:
        """The next event of one of these types; what is before it is skipped."""
        return (await self.until(*types))[-1]

    async def ask(self, type: str, answer: str, **fields: Any) -> Event:
        await self.send(type, **fields)
        return await self.get(answer)

    async def complaint(self, type: str, **fields: Any) -> Event:
        """Send something, and return the error that answers it."""
        await self.send(type, **fields)
        error: Event = (await self.get("error"))["error"]
        return error

    async def update(self, **session: Any) -> Event:
        found = await self.ask(
            "session.update", "session.updated", session={"type": "realtime", **session}
        )
        updated: Event = found["session"]
        return updated

    async def text(self, text: str, **item: Any) -> Event:
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content, **item}
        found = await self.ask("conversation.item.create", "conversation.item.done", item=item)
        made: Event = found["item"]
        return made

    async def respond(self, **response: Any) -> list[Event]:
        await self.send("response.create", response=response)
        return await self.until("response.done")

    async def audio(self, audio: bytes, format: AudioFormat = PCM24, live: bool = False) -> None:
        """Send audio in pieces of 100 ms; `live`: no faster than it plays."""
        size = format.n_bytes(100)
        for i in range(0, len(audio), size):
            piece = base64.b64encode(audio[i : i + size]).decode()
            await self.send("input_audio_buffer.append", audio=piece)
            if live:
                await asyncio.sleep(0.1)

    async def say(
        self, text: str, format: AudioFormat = PCM24, live: bool = False, pause_ms: float = 1000
    ) -> None:
        """Speak, and be silent for so long."""
        await self.audio(speak(text, format) + silence(pause_ms, format), format, live)

    async def rest(self) -> list[Event]:
        """All until the connection is closed."""
        seen = []
        try:
            while True:
                seen.append(await self.recv())
        except websockets.ConnectionClosed:
            return seen


def silence(ms: float, format: AudioFormat = PCM24) -> bytes:
    quiet = {"g711_ulaw": b"\xff", "g711_alaw": b"\xd5"}.get(format.encoding, b"\0")
    return quiet * format.n_bytes(ms)


@asynccontextmanager
async def connected(
    emulator: OpenAIEmulator,
    key: str | None = KEY,
    greeting: bool = True,
    path: str | None = None,
    headers: dict[str, str] | None = None,
    subprotocols: list[str] | None = None,
    **query: str,
) -> AsyncIterator[Wire]:
    """A connection, after its `session.created` (`greeting`: it is waited for)."""
    wanted = {"model": "gpt-realtime", **query} if "intent" not in query else query
    base = emulator.http_url.replace("http://", "ws://")
    shown = {"Authorization": f"Bearer {key}"} if key else {}
    async with websockets.connect(
        f"{base}/realtime?{urlencode({k: v for k, v in wanted.items() if v})}"
        if path is None
        else f"ws://127.0.0.1:{emulator.port}{path}",
        additional_headers=shown if headers is None else headers,
        subprotocols=subprotocols,  # type: ignore[arg-type] # plain text does
        compression=None,
        max_size=64 * 1024 * 1024,
    ) as socket:
        wire = Wire(socket)
        if greeting:
            await wire.until("session.created")
        yield wire


def types(events: list[Event]) -> list[str]:
    """Their types; of equal neighbours, one."""
    found: list[str] = []
    for event in events:
        if not found or found[-1] != event["type"]:
            found.append(event["type"])
    return found


def of(events: list[Event], type: str) -> list[Event]:
    return [event for event in events if event["type"] == type]


def audio_of(events: list[Event]) -> bytes:
    return b"".join(
        base64.b64decode(event["delta"]) for event in of(events, "response.output_audio.delta")
    )


def heard(events: list[Event], format: AudioFormat = PCM24) -> str:
    """The words in the audio of these events."""
    return understand(audio_of(events), format)


def position(events: list[Event], test: Callable[[Event], bool]) -> int:
    return next(i for i, event in enumerate(events) if test(event))
