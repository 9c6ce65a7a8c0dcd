"""The way it is mostly written: `websockets`, `json`, `base64`, and a task a call that reads."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable

from websockets.asyncio.client import ClientConnection, connect

from bench.hot_path.harness import FRAME_S, Ear

UPDATE = {
    "type": "session.update",
    "session": {
        "type": "realtime",
        "output_modalities": ["audio"],
        "audio": {
            "input": {"format": {"type": "audio/pcm", "rate": 24000}},
            "output": {"format": {"type": "audio/pcm", "rate": 24000}},
        },
    },
}


class _Line:
    def __init__(self, url: str, ear: Ear, chunk_ms: int) -> None:
        self._url = f"{url}/realtime?model=gpt-realtime"
        self._ear = ear
        self._group = round(chunk_ms / 1000 / FRAME_S)
        self._frames: list[bytes] = []
        self._ready = asyncio.Event()

    async def connect(self) -> None:
        self._socket = await connect(self._url)
        self._reader = asyncio.create_task(self._read(self._socket))
        await self._socket.send(json.dumps(UPDATE))
        await self._ready.wait()

    async def _read(self, socket: ClientConnection) -> None:
        async for message in socket:
            event = json.loads(message)
            if event["type"] == "response.output_audio.delta":
                self._ear.audio(base64.b64decode(event["delta"]))
            elif event["type"] == "response.output_audio_transcript.delta":
                self._ear.text(event["delta"])
            elif event["type"] == "session.updated":
                self._ready.set()

    def send(self, frame: bytes) -> Awaitable[None] | None:
        if self._group > 1:
            self._frames.append(frame)
            if len(self._frames) < self._group:
                return None
            frame = b"".join(self._frames)
            self._frames.clear()
        return self._append(frame)

    async def _append(self, frame: bytes) -> None:
        audio = base64.b64encode(frame).decode("ascii")
        await self._socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))

    async def close(self) -> None:
        await self._socket.close()
        await self._reader


LINES = {"websockets": _Line}
