"""A call of the family: an emulator (or a peer that does what a test tells it), a provider on it, and what was told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.signal import speak, understand
from voxengine.events import (
    AudioOutputChunk,
    ProviderEvent,
    ResponseCancelled,
    ResponseCompleted,
    ResponseError,
    ResponseStarted,
    TextOutput,
    TranscriptCompleted,
)
from voxengine.providers.openai import OpenAIProvider
from voxengine.providers.registry import create_provider
from voxengine.testing.emulators.http import Answer, Request
from voxengine.testing.emulators.openai import OpenAIEmulator
from voxengine.testing.emulators.server import Accept, EmulatorServer, Socket

_E = TypeVar("_E", bound=ProviderEvent)

KEY = "sk-provider-test-0123456789"
DIALECTS = ("openai", "azure", "xai", "custom")
ENDS = (ResponseCompleted, ResponseCancelled, ResponseError)
#: A text of twelve seconds.
LONG = " ".join(f"word{n}" for n in range(40))


class Call:
    """A provider and the record of its events."""

    def __init__(self, provider: OpenAIProvider) -> None:
        self.provider = provider
        self.events: list[Any] = []
        self._came = asyncio.Event()
        provider.on_event = self._record

    def _record(self, event: ProviderEvent) -> None:
        self.events.append(event)
        self._came.set()

    def of(self, kind: type[_E]) -> list[_E]:
        return [event for event in self.events if isinstance(event, kind)]

    def ends(self) -> list[Any]:
        return [event for event in self.events if isinstance(event, ENDS)]

    async def wait(self, kind: type[_E], count: int = 1) -> _E:
        """The n-th event of a kind, which may have come already."""
        async with asyncio.timeout(120):
            while len(self.of(kind)) < count:
                self._came.clear()
                await self._came.wait()
        return self.of(kind)[count - 1]

    async def wait_ends(self, count: int = 1) -> None:
        """Wait until so many responses have ended."""
        async with asyncio.timeout(300):
            while len(self.ends()) < count:
                self._came.clear()
                await self._came.wait()

    async def ask(self, text: str) -> str:
        """Send a text; what was answered."""
        ended = len(self.ends())
        await self.provider.send_text(text)
        await self.wait_ends(ended + 1)
        return self.answers()[-1]

    def answers(self) -> list[str]:
        """What each response said, in their order."""
        found: dict[Any, str] = {e.response_id: "" for e in self.of(ResponseStarted)}
        for event in self.of(TextOutput):
            found[event.response_id] += event.text
        return list(found.values())

    def spoken(self) -> str:
        """The words in all audio that came."""
        chunks = self.of(AudioOutputChunk)
        audio = b"".join(chunk.audio_data for chunk in chunks)
        return understand(audio, AudioFormat(chunks[0].encoding, chunks[0].sample_rate))

    def heard(self) -> list[str]:
        return [event.text for event in self.of(TranscriptCompleted)]

    async def speak(self, words: str, *, then_ms: float = 1000.0) -> None:
        """Say something at the pace at which it is said, and be silent."""
        format = self.provider.get_audio_format()
        await self.stream((speak(words, format) if words else b"") + silence(then_ms, format))

    async def stream(self, audio: bytes) -> None:
        size = self.provider.get_audio_format().n_bytes(20)
        for at in range(0, len(audio), size):
            await self.provider.send_audio(audio[at : at + size])
            await asyncio.sleep(0.02)

    def check(self) -> None:
        """Each response has begun once and ended once, one at a time, and nothing came outside of one."""
        begun: set[Any] = set()
        open_id: Any = None
        for event in self.events:
            if isinstance(event, ResponseStarted):
                assert open_id is None, f"{event.response_id} began within {open_id}"
                assert event.response_id not in begun
                begun.add(open_id := event.response_id)
            elif isinstance(event, ENDS):
                assert event.response_id == open_id, f"{event} ended something else than {open_id}"
                open_id = None
            elif isinstance(event, AudioOutputChunk | TextOutput):
                assert event.response_id == open_id, f"{event.type} came outside of its response"
        assert open_id is None, f"{open_id} never ended"


def settings_for(emulator: OpenAIEmulator, **settings: Any) -> dict[str, Any]:
    """The configuration that leads a provider to an emulator."""
    metadata = {**emulator.metadata, **settings.pop("metadata", {})}
    return {"api_key": KEY, **settings, "metadata": metadata}


def provider_of(name: str, settings: dict[str, Any]) -> OpenAIProvider:
    provider = create_provider(name, settings)
    assert isinstance(provider, OpenAIProvider)
    return provider


def make(emulator: OpenAIEmulator, **settings: Any) -> Call:
    """A provider for an emulator that is not connected yet."""
    return Call(provider_of(emulator.dialect.name, settings_for(emulator, **settings)))


@asynccontextmanager
async def emulated(
    dialect: str = "openai", responses: Any = None, *, valid: bool = True, **settings: Any
) -> AsyncIterator[OpenAIEmulator]:
    """An emulator; `valid`: everything that it was sent has to be, by the vendor's types."""
    async with OpenAIEmulator(dialect, responses, key=KEY, **settings) as emulator:
        yield emulator
    assert emulator.judge is not None
    if valid:
        assert emulator.judge.violations == []


@asynccontextmanager
async def calling(emulator: OpenAIEmulator, **settings: Any) -> AsyncIterator[Call]:
    """A provider that is connected."""
    call = make(emulator, **settings)
    try:
        await call.provider.connect()
        yield call
    finally:
        await call.provider.disconnect()


@asynccontextmanager
async def call_of(
    dialect: str = "openai", responses: Any = None, *, faults: Any = (), **settings: Any
) -> AsyncIterator[tuple[Call, OpenAIEmulator]]:
    """A connected provider on an emulator of its own."""
    async with (
        emulated(dialect, responses, faults=faults) as emulator,
        calling(emulator, **settings) as call,
    ):
        yield call, emulator


class Peer:
    """A server's side of one connection that knows nothing: `react` is told of each message, and answers.

    The first message, of the type "(open)", is that the socket is open.
    """

    def __init__(self, react: Callable[[Peer, dict[str, Any]], None]) -> None:
        self._react = react
        self.received: list[dict[str, Any]] = []
        self.socket: Socket | None = None

    def on_open(self, socket: Socket) -> None:
        self.socket = socket
        self._react(self, {"type": "(open)"})

    def on_message(self, message: str | bytes) -> None:
        event = json.loads(message)
        self.received.append(event)
        self._react(self, event)

    def on_close(self) -> None:
        self.socket = None

    def send(self, kind: str, **fields: Any) -> None:
        assert self.socket is not None
        self.socket.send(json.dumps({"type": kind, **fields}))

    def close(self, code: int, reason: str = "") -> None:
        assert self.socket is not None
        self.socket.close(code, reason)

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something in a while, if the socket is still open then."""

        def now() -> None:
            if self.socket is not None:
                act()

        asyncio.get_running_loop().call_later(seconds, now)

    def types(self) -> list[str]:
        return [event["type"] for event in self.received]


def polite(peer: Peer, event: dict[str, Any]) -> None:
    """Greet, and confirm what is changed."""
    if event["type"] == "(open)":
        peer.send("session.created", session={"id": "sess_peer", "model": "peer-model"})
    elif event["type"] == "session.update":
        peer.send("session.updated", session={"id": "sess_peer"})


class Peers:
    """A server of such peers."""

    def __init__(
        self,
        react: Callable[[Peer, dict[str, Any]], None],
        answer: Callable[[Request], Answer | None] = lambda _: None,
    ) -> None:
        self._react = react
        self._answer = answer
        self.peers: list[Peer] = []
        self.requests: list[Request] = []
        self.server = EmulatorServer(self._route)

    def _route(self, request: Request) -> Answer | Accept:
        self.requests.append(request)
        answer = self._answer(request)
        if answer is not None:
            return answer
        self.peers.append(Peer(self._react))
        return Accept(self.peers[-1])

    @property
    def peer(self) -> Peer:
        """The latest."""
        return self.peers[-1]

    @property
    def endpoint(self) -> str:
        return f"ws://127.0.0.1:{self.server.port}/v1"

    def call(self, dialect: str = "openai", **settings: Any) -> Call:
        values = {"api_key": KEY, "endpoint": self.endpoint, **settings}
        return Call(provider_of(dialect, values))


@asynccontextmanager
async def peers(
    react: Callable[[Peer, dict[str, Any]], None] = polite,
    answer: Callable[[Request], Answer | None] = lambda _: None,
) -> AsyncIterator[Peers]:
    found = Peers(react, answer)
    await found.server.start()
    try:
        yield found
    finally:
        await found.server.close()


async def until(test: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not test():  # noqa: ASYNC110 - what is waited for is in the emulator, and tells nobody
            await asyncio.sleep(0.01)
