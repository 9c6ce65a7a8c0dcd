"""A client of the gateway: a plain WebSocket, each message judged by the types that OpenAI publishes."""

from __future__ import annotations

import asyncio
import contextlib
import json
from types import TracebackType
from typing import Any

import pybase64
import websockets

from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.testing.conformance.checks import fail
from voxengine.testing.conformance.gateway.checks import Declined
from voxengine.testing.conformance.gateway.laws import keep_the_laws
from voxengine.testing.conformance.scenario import Scenario
from voxengine.testing.oracles.judge import Judge

__all__ = ["Client", "Event"]

Event = dict[str, Any]

#: How long a piece of audio is, as a client sends it.
_FRAME_MS = 40
#: Seconds in which an error may follow what it is about.
_ERRORS_FOLLOW = 0.3
#: Seconds that the handshake may take: models on this machine may have to be loaded.
_OPENING = 120.0
#: Bytes of a message of the gateway's.
_MAX_SIZE = 16 * 1024 * 1024


class Client:
    """One connection. An async context manager; it keeps all that it was told, in order.

    Args:
        url: the address, with its query.
        scenario: how patient to be.
        judge: judges both directions; None for the beta, which OpenAI publishes no types of any more.
        headers: of the handshake.
    """

    def __init__(
        self,
        url: str,
        scenario: Scenario,
        judge: Judge | None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self._url = url
        self._headers = headers or {}
        self._scenario = scenario
        self._judge = judge
        self._arrived = asyncio.Event()
        self._count = 0
        self._socket: websockets.ClientConnection
        self._reader: asyncio.Task[None]
        self.events: list[Event] = []
        #: What the judge found wrong in what the gateway said.
        self.wrong: list[str] = []
        self.format = AudioFormat()

    async def __aenter__(self) -> Client:
        self._socket = await websockets.connect(
            self._url,
            additional_headers=self._headers,
            max_size=_MAX_SIZE,
            ping_interval=None,
            open_timeout=_OPENING,
        )
        self._reader = asyncio.create_task(self._read(), name="conformance-client")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._socket.close()
        await self._reader

    async def _read(self) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            async for message in self._socket:
                if self._judge is not None:
                    self.wrong += self._judge.server(message)
                self.events.append(json.loads(message))
                self._arrived.set()
        self._arrived.set()

    @property
    def call_id(self) -> str:
        """The call's id, as the handshake told it."""
        response = self._socket.response
        assert response is not None
        return response.headers["x-voxengine-call-id"]

    # -- sending

    async def send(self, kind: str, /, **fields: Any) -> str:
        """Send an event; returns its `event_id`."""
        self._count += 1
        event = {"type": kind, "event_id": f"client_{self._count}", **fields}
        if self._judge is not None:
            self._judge.client(event)
        await self.send_text(json.dumps(event))
        return str(event["event_id"])

    async def send_text(self, message: str) -> None:
        """Send a message as it is."""
        await self._socket.send(message)

    async def stream(self, audio: bytes) -> None:
        """Send audio as a microphone would, at the pace at which it is spoken."""
        size = self.format.n_bytes(_FRAME_MS)
        loop = asyncio.get_running_loop()
        start = loop.time()
        for i in range(0, len(audio), size):
            piece = pybase64.b64encode(audio[i : i + size]).decode()
            await self.send("input_audio_buffer.append", audio=piece)
            # By the clock, not by the frame: a slow machine must not stretch the speech.
            await asyncio.sleep(max(0.0, start + (i // size + 1) * _FRAME_MS / 1000 - loop.time()))

    async def speak(self, speech: bytes, pause_ms: float | None = None) -> None:
        """Speak, after a moment of silence and with enough of it behind."""
        if pause_ms is None:
            pause_ms = self._scenario.trailing_ms
        await self.stream(silence(300, self.format) + speech + silence(pause_ms, self.format))

    # -- waiting

    async def wait(self, *kinds: str, since: int = 0, **fields: Any) -> Event:
        """The first event of one of these types, with these fields, from place `since` of the record on."""

        def wanted(event: Event) -> bool:
            return event["type"] in kinds and all(event.get(k) == v for k, v in fields.items())

        seconds = self._scenario.patience
        try:
            async with asyncio.timeout(seconds):
                at = since
                while True:
                    for event in self.events[at:]:
                        if wanted(event):
                            return event
                    at = len(self.events)
                    if self._reader.done():
                        break
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            pass
        came = ", ".join(self._shown(e) for e in self.events[since:][-8:]) or "nothing"
        return fail(f"no {' or '.join(kinds)} within {seconds:g} s; what came was {came}")

    @staticmethod
    def _shown(event: Event) -> str:
        error = event.get("error")
        return f"{event['type']} ({error['message']})" if error else str(event["type"])

    async def ask(self, kind: str, *answers: str, **fields: Any) -> Event:
        """Send an event and wait for its answer.

        Raises:
            Declined: it is an error instead.
        """
        since = len(self.events)
        event_id = await self.send(kind, **fields)
        while True:
            event = await self.wait(*answers, "error", since=since)
            since = self.events.index(event, since) + 1
            if event["type"] != "error":
                return event
            if event["error"].get("event_id") == event_id:
                raise Declined(event["error"])

    async def update(self, **session: Any) -> Event:
        """Change the session; returns it as it is told then.

        Raises:
            Declined: something of it is not done.
        """
        since = len(self.events)
        event_id = await self.send("session.update", session={"type": "realtime", **session})
        told = await self.wait("session.updated", "error", since=since)
        if told["type"] == "error":
            await asyncio.sleep(_ERRORS_FOLLOW)
        self._look_for_error(event_id, since)
        return dict(told["session"])

    def _look_for_error(self, event_id: str, since: int) -> None:
        for event in self.events[since:]:
            if event["type"] == "error" and event["error"].get("event_id") == event_id:
                raise Declined(event["error"])

    async def error(self, kind: str, /, **fields: Any) -> Event:
        """The error that an event is answered with; another answer, or none, fails the check."""
        since = len(self.events)
        event_id = await self.send(kind, **fields)
        event = await self.wait("error", since=since)
        told = event["error"]
        if told.get("event_id") != event_id:
            fail(f"the error about {kind} names the event {told.get('event_id')!r}")
        return dict(told)

    async def quiet(self, seconds: float | None = None) -> None:
        """Wait until nothing has come for a while."""
        seconds = self._scenario.quiet if seconds is None else seconds
        while True:
            self._arrived.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._arrived.wait()
            except TimeoutError:
                return
            if self._reader.done():
                return

    # -- what was told

    def all(self, *kinds: str, since: int = 0, **fields: Any) -> list[Event]:
        """The events of these types, with these fields."""
        return [
            event
            for event in self.events[since:]
            if event["type"] in kinds and all(event.get(k) == v for k, v in fields.items())
        ]

    @property
    def errors(self) -> list[Event]:
        """The errors so far."""
        return [event["error"] for event in self.all("error")]

    def settle(self) -> None:
        """Fail unless all that was told is valid, and keeps the laws of the wire."""
        if self.wrong:
            fail(f"an event is not as OpenAI's types have it: {self.wrong[0]}")
        if self._judge is not None:
            keep_the_laws(self.events)
