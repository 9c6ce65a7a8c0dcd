"""A client of the gateway's wire without a socket: what it is sent is judged by OpenAI's types."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tests.gateway.gateways import ANYONE, running
from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.signal import speak
from voxengine.gateway.call import Call
from voxengine.gateway.gateway import Gateway
from voxengine.gateway.grants import Grant
from voxengine.gateway.wire.session import RealtimeSession
from voxengine.testing.oracles.openai_realtime import realtime_judge

PCM24 = AudioFormat()


class Talker:
    """The client's end: a `Peer` that notes what it is sent, and sends as a client would."""

    def __init__(self, gateway: Gateway, call: Call, *, beta: bool = False) -> None:
        self.gateway = gateway
        self.call = call
        self.session = RealtimeSession(gateway, call, beta=beta)
        self.events: list[dict[str, Any]] = []
        self.closed: list[tuple[int, str]] = []
        self.wrong: list[str] = []
        self._more = asyncio.Event()
        self._judge = None if beta else realtime_judge()

    def send(self, message: bytes) -> None:
        if self._judge is not None:
            self.wrong += [f"{p} in {message[:200]!r}" for p in self._judge.server(message)]
        self.events.append(json.loads(message))
        self._more.set()

    def close(self, code: int = 1000, reason: str = "") -> None:
        if not self.closed:
            self.closed.append((code, reason))
            self.session.on_close(code, reason)

    # -- as a client

    async def open(self) -> None:
        self.session.on_open(self)
        await self.told("session.created")

    def say(self, kind: str, **fields: Any) -> None:
        self.session.on_message(json.dumps({"type": kind, **fields}).encode())

    def update(self, **session: Any) -> None:
        self.say("session.update", session={"type": "realtime", **session})

    def append(self, audio: bytes) -> None:
        self.say("input_audio_buffer.append", audio=base64.b64encode(audio).decode())

    async def speak(
        self, words: str, pause_ms: float = 1500.0, format: AudioFormat = PCM24, ms: float = 20.0
    ) -> None:
        """Words, and silence after them, at the pace of speech."""
        audio = speak(words, format) + silence(pause_ms, format)
        step = format.n_bytes(ms)
        for start in range(0, len(audio), step):
            self.append(audio[start : start + step])
            await asyncio.sleep(ms / 1000)

    async def told(self, kind: str, n: int = 1, seconds: float = 20.0) -> dict[str, Any]:
        """The n-th event of that type, waited for."""
        async with asyncio.timeout(seconds):
            while len(found := self.all(kind)) < n:
                self._more.clear()
                await self._more.wait()
        return found[n - 1]

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    def types(self, *beginnings: str) -> list[str]:
        """The types of what it was sent, in order, or those of them that begin so."""
        return [e["type"] for e in self.events if e["type"].startswith(beginnings or ("",))]

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [event["error"] for event in self.all("error")]


@asynccontextmanager
async def talking(
    provider: Mapping[str, Any] | None = None,
    *,
    beta: bool = False,
    grant: Grant = ANYONE,
    content: Mapping[str, Any] | None = None,
    gateway: Mapping[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[Talker]:
    """A client that is in a call of the route "play", whose mock has these options."""
    given = dict(
        content
        or {
            "providers": {"one": {"provider": "mock", "metadata": dict(provider or {})}},
            "routes": {"play": {"providers": ["one"]}},
        }
    )
    async with running(given, vad="energy", **(gateway or {})) as made:
        options.setdefault("model", "play")
        call = await made.open_call(wire="websocket", grant=grant, **options)
        talker = Talker(made, call, beta=beta)
        await talker.open()
        yield talker
        talker.close()
        assert talker.wrong == []
