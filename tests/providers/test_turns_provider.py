"""What all providers have in common whose vendor finds the turns, by the smallest vendor that there can be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.conversation.items import Item
from voxengine.errors import ConnectionError, MessageError, UnsupportedFeatureError
from voxengine.net import WebSocket
from voxengine.providers.capabilities import Capabilities
from voxengine.providers.socket_provider import Address
from voxengine.providers.timed_provider import TimedProvider
from voxengine.providers.turns import BaseTurns, Response, SpacedResponse
from voxengine.providers.turns_provider import MAX_CALLS, Calls
from voxengine.testing.emulators.http import Request
from voxengine.testing.emulators.server import Accept, EmulatorServer, Socket

FORMAT = AudioFormat("pcm16", 16000)


class Turns(BaseTurns[Response]):
    """A response that ends by itself at a given moment."""

    ends_at: float | None = None

    def begin(self, ends_at: float | None) -> list[ev.ProviderEvent]:
        self.ends_at = ends_at
        if self._response is not None:
            return []
        self._response = Response(self._new_id("response"), self._new_id("item"))
        return [ev.ResponseStarted(response_id=self._response.id, **self._meta())]

    def audio(self, audio: bytes) -> list[ev.ProviderEvent]:
        assert self._response is not None
        return self._chunks(audio, self._response, FORMAT)

    @property
    def deadline(self) -> float | None:
        return self.ends_at if self._response is not None else None

    def tick(self, now: float) -> list[ev.ProviderEvent]:
        if self.deadline is None or now < self.deadline:
            return []
        response_id = self.forget()
        return [ev.ResponseCompleted(response_id=response_id, **self._meta())]


class CuckooProvider(TimedProvider):
    """A vendor whose every message says in how many seconds its response ends."""

    title = "The cuckoo"
    provider_name = "cuckoo"
    key_variables = ("CUCKOO_KEY",)
    capabilities = Capabilities(input_formats=(FORMAT,), output_formats=(FORMAT,))
    billed_as = "clock"

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.turns = self._turns = Turns(self.meta, "cuckoo")
        self.set_local()

    async def address(self) -> Address:
        return Address(url=self.url("wss://cuckoo.example/clock"), headers={"X-Key": self.key()})

    def opened(self, socket: WebSocket) -> None:
        # Nothing of a session that does not stand is told.
        self.tell([*self.turns.begin(None), *self.turns.audio(bytes(320))])
        self.turns.forget()
        self.start_clock()
        self.ready()

    async def send_text(self, text: str, role: str = "user") -> None:
        self.need_text(text)
        self.open_socket().send_text(text.encode())

    async def goodbye(self, socket: WebSocket) -> None:
        socket.send_text(b"bye")
        await self.until_ended()

    def on_text(self, payload: memoryview) -> None:
        wait = float(bytes(payload))
        self.tell(self.turns.begin(self.now() + wait))


class Cuckoo:
    """The vendor's side: says what it is told to."""

    def __init__(self) -> None:
        self.got: list[str | bytes] = []
        self.socket: Socket | None = None

    def route(self, request: Request) -> Accept:
        return Accept(self)

    def on_open(self, socket: Socket) -> None:
        self.socket = socket

    def on_message(self, message: str | bytes) -> None:
        self.got.append(message)
        if message == "bye":
            self.say(1.0)

    def on_close(self) -> None:
        self.socket = None

    def say(self, *waits: float) -> None:
        assert self.socket is not None
        for wait in waits:
            self.socket.send(str(wait))


@asynccontextmanager
async def clock(**settings: Any) -> AsyncIterator[tuple[CuckooProvider, Cuckoo, list[Any]]]:
    vendor = Cuckoo()
    server = EmulatorServer(vendor.route)
    await server.start()
    url = f"http://127.0.0.1:{server.port}"
    provider = CuckooProvider({"api_key": "k-123456", "endpoint": url, **settings})
    events: list[Any] = []
    provider.on_event = events.append
    try:
        yield provider, vendor, events
    finally:
        await provider.disconnect()
        await server.close()


def kinds(events: Sequence[Any]) -> list[type[Any]]:
    return [type(event) for event in events]


@pytest.mark.parametrize(
    ("waits", "seconds"), [((2.0,), 2.0), ((1.0, 5.0), 5.0), ((60.0, 1.0), 1.0)]
)
async def test_an_end_that_nobody_tells_is_found_when_it_is_due(
    waits: tuple[float, ...], seconds: float
) -> None:
    async with clock() as (provider, vendor, events):
        await provider.connect()
        told = kinds(events)
        vendor.say(*waits)
        await asyncio.sleep(seconds - 0.1)
        assert kinds(events)[len(told) :] == [ev.ResponseStarted]
        await asyncio.sleep(0.2)
        assert kinds(events)[len(told) :] == [
            ev.ResponseStarted,
            ev.ResponseCompleted,
            ev.UsageUpdated,
        ]


async def test_what_ends_with_the_session_does_not_end_again() -> None:
    async with clock() as (provider, vendor, events):
        await provider.connect()
        told = len(events)
        vendor.say(1.0)
        await asyncio.sleep(0.5)
        await provider.disconnect()
        await asyncio.sleep(2.0)
        assert kinds(events)[told:] == [
            ev.ResponseStarted,
            ev.ResponseCancelled,
            ev.UsageUpdated,
            ev.ConnectionClosed,
        ]
        assert events[-2].input_audio_seconds == pytest.approx(0.5, abs=0.1)
        # What the vendor began during the goodbye is not waited for.
        assert provider.turns.response_id == "cuckoo_response_5"


async def test_nothing_is_told_of_a_session_that_does_not_stand() -> None:
    async with clock() as (provider, _, events):
        await provider.connect()
        assert kinds(events) == [ev.ConnectionStarting, ev.ConnectionEstablished]


async def test_a_message_of_the_vendors_own_goes_out_if_it_is_one() -> None:
    async with clock() as (provider, vendor, _):
        with pytest.raises(ConnectionError):
            await provider.send_event({"type": "wind_up"})
        await provider.connect()
        for event in ({}, {"type": 1}, {"type": "x", "value": object()}, {"type": "x", 1j: 2}):
            with pytest.raises(MessageError):
                await provider.send_event(event)  # type: ignore[arg-type]
        for text in ("", None):
            with pytest.raises(MessageError):
                await provider.send_text(text)  # type: ignore[arg-type]
        await provider.send_event({"type": "wind_up", "turns": 2})
        await asyncio.sleep(0.1)
        assert vendor.got == ['{"type":"wind_up","turns":2}']


async def test_an_earlier_conversation_is_taken_until_the_connection_is_opened() -> None:
    item = Item(id="i", role="user", text="hello", status="completed")
    async with clock() as (provider, _, _events):
        await provider.add_conversation_history([item])
        await provider.connect()
        await provider.add_conversation_history([])
        with pytest.raises(MessageError) as failure:
            await provider.add_conversation_history([item])
        assert failure.value.code == "history_late"


async def test_what_it_cannot_do_is_said_in_its_name() -> None:
    async with clock() as (provider, vendor, _):
        await provider.connect()
        await provider.interrupt()
        vendor.say(5.0)
        await asyncio.sleep(0.1)
        with pytest.raises(UnsupportedFeatureError, match="The cuckoo does not offer calling off"):
            await provider.interrupt()


async def test_the_settings_of_ours_are_as_the_configuration_has_them() -> None:
    async with clock(transcription=False, vad_events=False) as (provider, _, _events):
        turns = provider.turns
        assert (turns.transcripts, turns.partials, turns.vad_events) == (False, True, False)


def test_the_oldest_call_is_forgotten() -> None:
    calls = Calls[int]()
    for n in range(MAX_CALLS + 2):
        calls.add(f"call_{n}", n)
    assert [*calls.values()] == [*range(2, MAX_CALLS + 2)]


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["One.", "Two."], "One. Two."),
        (["One. ", "Two."], "One. Two."),
        (["One.", " Two."], "One. Two."),
        (["One.\n", "Two.", "Three."], "One.\nTwo. Three."),
    ],
)
def test_between_two_pieces_is_one_blank(pieces: list[str], text: str) -> None:
    response = SpacedResponse("r", "i")
    assert "".join(response.spaced(piece) for piece in pieces) == text


@pytest.mark.parametrize("ms", [20, 1000, 2500])
def test_long_audio_is_told_in_chunks_of_a_second_at_most(ms: int) -> None:
    turns = Turns(lambda: {"provider": "cuckoo"}, "cuckoo")
    turns.begin(None)
    audio = bytes(range(256)) * (FORMAT.n_bytes(ms) // 256 + 1)
    audio = audio[: FORMAT.n_bytes(ms)]
    chunks = [event.audio_data for event in turns.audio(audio)]  # type: ignore[attr-defined]
    assert b"".join(chunks) == audio
    assert max(FORMAT.duration_ms(len(chunk)) for chunk in chunks) <= 1000
    assert turns.audio(b"") == []
