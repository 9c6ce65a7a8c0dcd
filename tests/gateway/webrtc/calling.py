"""A client by WebRTC: aiortc over real UDP, on a gateway that is served. OpenAI's types judge what it is sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame
from openai import AsyncOpenAI

from tests.gateway.gateways import config
from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import speak, understand
from voxengine.gateway.call import Call
from voxengine.gateway.gateway import Gateway
from voxengine.gateway.serving import make_front
from voxengine.testing.emulators.openai import OpenAIEmulator
from voxengine.testing.oracles.openai_realtime import realtime_judge

KEY, VARIABLE = "sk-emulated", "WEBRTC_TEST_KEY"
TRACK = AudioFormat(sample_rate=48_000)
FRAME = TRACK.n_bytes(20)


class Microphone(MediaStreamTrack):
    """A track of what is said, and of silence."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._audio = b""
        self._due: float | None = None
        self._samples = 0
        self.stalled = asyncio.Event()

    def play(self, pcm16: bytes) -> None:
        self._audio += pcm16

    def say(self, words: str) -> None:
        self.play(speak(words, TRACK))

    async def recv(self) -> AudioFrame:
        now = asyncio.get_running_loop().time()
        self._due = now if self._due is None else self._due + 0.02
        await asyncio.sleep(max(0.0, self._due - now))
        if self.stalled.is_set():
            await asyncio.Event().wait()
        audio, self._audio = self._audio[:FRAME], self._audio[FRAME:]
        frame = AudioFrame(format="s16", layout="mono", samples=960)
        frame.planes[0].update(audio.ljust(FRAME, b"\0"))
        frame.sample_rate, frame.pts, frame.time_base = 48_000, self._samples, Fraction(1, 48_000)
        self._samples += 960
        return frame


class Caller:
    """The client's end."""

    def __init__(self, served: Served, *, channel: bool = True, microphone: bool = True) -> None:
        self.served = served
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.microphone = Microphone()
        if microphone:
            self.peer.addTrack(self.microphone)
        else:
            self.peer.addTransceiver("audio", direction="recvonly")
        self.events: list[dict[str, Any]] = []
        self.wrong: list[str] = []
        #: All that was heard, mono at 48 kHz.
        self.heard: list[np.ndarray[Any, Any]] = []
        self.call_id = ""
        self._judge = realtime_judge()
        self._more = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self.peer.on("track", self._listen)
        self.channel = self.peer.createDataChannel("oai-events") if channel else None
        if self.channel is not None:
            self.channel.on("message", self._message)

    def _message(self, message: str) -> None:
        self.wrong += [f"{p} in {message[:200]}" for p in self._judge.server(message)]
        self.events.append(json.loads(message))
        self._more.set()

    def _listen(self, track: MediaStreamTrack) -> None:
        async def run() -> None:
            while True:
                try:
                    frame = await track.recv()
                except MediaStreamError:
                    return
                assert isinstance(frame, AudioFrame)
                self.heard.append(frame.to_ndarray().reshape(-1, 2)[:, 0])

        self._listening = asyncio.create_task(run())

    async def offer(self) -> str:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return str(self.peer.localDescription.sdp)

    async def dial(self, query: Mapping[str, str] | None = None, **session: Any) -> None:
        """Call, by OpenAI's own client, and wait for the session."""
        given = {"type": "realtime", "model": "play", **session}
        answer = await self.served.client.realtime.calls.with_raw_response.create(
            sdp=await self.offer(),
            session=given,  # type: ignore[arg-type]
            extra_query=dict(query or {}),
        )
        location = answer.headers["location"]
        assert location.startswith("/v1/realtime/calls/rtc_")
        self.call_id = location.rpartition("/")[2]
        await self.peer.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        if self.channel is not None:
            await self.told("session.created")

    @property
    def call(self) -> Call:
        found = self.served.gateway.calls.get("call_" + self.call_id.removeprefix("rtc_"))
        assert found is not None
        return found

    def send(self, kind: str, **fields: Any) -> None:
        assert self.channel is not None
        self.channel.send(json.dumps({"type": kind, **fields}))

    async def told(self, kind: str, n: int = 1, seconds: float = 20.0) -> dict[str, Any]:
        """The n-th event of that type, waited for."""
        async with asyncio.timeout(seconds):
            while len(found := self.all(kind)) < n:
                self._more.clear()
                await self._more.wait()
        return found[n - 1]

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    def index(self, kind: str) -> int:
        return [event["type"] for event in self.events].index(kind)

    @property
    def words(self) -> str:
        """The words that were heard, all of each."""
        audio = np.concatenate(self.heard) if self.heard else np.zeros(0, np.int16)
        return understand(audio.astype("<i2").tobytes(), TRACK)

    async def hang_up(self) -> None:
        await self.peer.close()
        if self._listening is not None:
            await self._listening


class Served:
    """A gateway with a port."""

    def __init__(self, gateway: Gateway, port: int) -> None:
        self.gateway = gateway
        self.http = f"http://127.0.0.1:{port}"
        self.client = AsyncOpenAI(api_key="anything", base_url=f"{self.http}/v1", max_retries=0)


@asynccontextmanager
async def serving(
    vendor: OpenAIEmulator | None = None, folder: Path = Path(), **gateway: Any
) -> AsyncIterator[Served]:
    """A gateway whose route "play" leads to an emulated vendor, else to the mock."""
    provider: dict[str, Any] = {"provider": "mock"}
    if vendor is not None:
        provider = {"provider": vendor.dialect.name, "api_key_env": VARIABLE, **vendor.metadata}
    content = {"providers": {"one": provider}, "routes": {"play": {"providers": ["one"]}}}
    made = Gateway(config(content, folder, port=0, **gateway))
    front = make_front(made)
    await front.start()
    served = Served(made, front.port)
    try:
        yield served
    finally:
        await served.client.close()
        await front.close(2.0)


@asynccontextmanager
async def calling(served: Served, **session: Any) -> AsyncIterator[Caller]:
    """A client that is in a call. No event that it was sent may be wrong."""
    caller = Caller(served)
    try:
        await caller.dial(**session)
        yield caller
    finally:
        await caller.hang_up()
    assert caller.wrong == []


def ask(caller: Caller) -> None:
    """Ask for an answer, in writing."""
    text = {"type": "input_text", "text": "please"}
    item = {"type": "message", "role": "user", "content": [text]}
    caller.send("conversation.item.create", item=item)
    caller.send("response.create")
