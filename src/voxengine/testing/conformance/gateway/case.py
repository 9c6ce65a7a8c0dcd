"""One gateway under check: it is started, called by a client, and closed again."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import pybase64

from voxengine.audio.signal import speak, understand
from voxengine.engine import VoiceEngine
from voxengine.gateway.config import GatewayConfig
from voxengine.gateway.gateway import Gateway
from voxengine.gateway.serving import make_front
from voxengine.providers.capabilities import Capabilities
from voxengine.testing.conformance.case import SECRET
from voxengine.testing.conformance.checks import expect, fail
from voxengine.testing.conformance.gateway.client import Client, Event
from voxengine.testing.conformance.gateway.stands import KEY_VARIABLE, Stand, Told
from voxengine.testing.oracles.judge import Judge

__all__ = ["ANEW", "OTHER", "ROUTE", "GatewayCase", "Server", "serving"]

#: The route to the provider under check, and one to a mock.
ROUTE = "talk"
OTHER = "other"
#: Seconds in which a provider is connected anew, or makes use of what it was told.
ANEW = 10.0
#: Seconds that the port has to close.
_CLOSING = 2.0


class Server:
    """A gateway on a port of this machine, with one provider behind it."""

    def __init__(self, gateway: Gateway, port: int, vendor: Any, stand: Stand) -> None:
        self.gateway = gateway
        self.port = port
        self.vendor = vendor
        self.stand = stand

    def url(self, query: str) -> str:
        """The address for a WebSocket."""
        return f"ws://127.0.0.1:{self.port}/v1/realtime?{query}"


@asynccontextmanager
async def serving(stand: Stand) -> AsyncIterator[Server]:
    """Start a gateway that keeps nothing, listens on loopback, and has two routes."""
    async with AsyncExitStack() as stack:
        metadata, vendor = await stack.enter_async_context(stand.start())
        provider: dict[str, Any] = {"provider": stand.name, "metadata": dict(metadata)}
        if stand.key_needed:
            stack.enter_context(_key())
            provider["api_key_env"] = KEY_VARIABLE
        config = GatewayConfig.from_dict(
            {
                # The machine may be busy with other things.
                "gateway": {"store": "memory", "port": 0, "vad": "energy", "max_loop_lag_ms": 6e4},
                "providers": {"one": provider},
                "routes": {ROUTE: {"providers": ["one"]}, OTHER: {"providers": ["mock"]}},
            }
        )
        gateway = Gateway(config)
        front = make_front(gateway)
        await front.start()
        stack.push_async_callback(front.close, _CLOSING)
        yield Server(gateway, front.port, vendor, stand)


@contextmanager
def _key() -> Iterator[None]:
    before = os.environ.get(KEY_VARIABLE)
    os.environ[KEY_VARIABLE] = SECRET
    try:
        yield
    finally:
        if before is None:
            del os.environ[KEY_VARIABLE]
        else:
            os.environ[KEY_VARIABLE] = before


class GatewayCase:
    """What a check works with."""

    def __init__(self, server: Server, client: Client, judge: Judge) -> None:
        self.server = server
        self.client = client
        self.judge = judge
        self.stand = server.stand
        self.scenario = server.stand.scenario

    # -- what stands behind

    @property
    def engine(self) -> VoiceEngine:
        """The engine of the client's call."""
        call = self.server.gateway.calls.get(self.client.call_id)
        if call is None:
            fail("the call has ended")
        return call.engine

    @property
    def can(self) -> Capabilities:
        """What the provider can do."""
        provider = self.engine.provider
        return provider.capabilities if provider is not None else Capabilities()

    @property
    def told(self) -> Told | None:
        """What the model was told; None where that cannot be seen."""
        look = self.stand.told
        return None if look is None else look(self.server.vendor, self.engine)

    def knows(self, words: str, message: str) -> None:
        """Fail unless the model was told these words."""
        if self.told is not None:
            memory = self.told.memory()
            expect(any(words in line for line in memory), f"{message}; it knows {memory}")

    async def learns(self, words: str, message: str, **response: Any) -> None:
        """As `knows`, at once where the provider takes items.

        Any other has another connection for it, or is told with what is answered next: it is asked for this response.
        """
        if self.can.history != "items" and not self._is_known(words):
            await self.client.quiet(ANEW)
            if not self._is_known(words):
                since = len(self.client.events)
                await self.client.send("response.create", response=response)
                await self.answer(since)
                await self.client.quiet()
        self.knows(words, message)

    def _is_known(self, words: str) -> bool:
        return self.told is None or any(words in line for line in self.told.memory())

    async def has(self, holds: Callable[[Told], bool]) -> bool:
        """Whether that can be said of the model: at once, or after a while where a vendor settles it when it begins."""
        if self.told is None or holds(self.told):
            return True
        if self.can.history != "items":
            await self.client.quiet(ANEW)
        return holds(self.told)

    def knows_not(self, words: str, message: str) -> None:
        """Fail if the model still knows these words."""
        if self.told is not None:
            memory = self.told.memory()
            expect(not any(words in line for line in memory), f"{message}; it knows {memory}")

    @asynccontextmanager
    async def another(self, query: str, *, beta: bool = False) -> AsyncIterator[Client]:
        """A client beside the first, after its first event."""
        headers = {"OpenAI-Beta": "realtime=v1"} if beta else None
        judge = None if beta else self.judge
        url = self.server.url(query)
        async with Client(url, self.scenario, judge, headers) as client:
            await client.wait("session.created")
            yield client
            client.settle()

    # -- talking

    def speech(self, words: str | None = None) -> bytes:
        """What the user says: the scenario's speech, or other words in a synthetic voice."""
        if words is None:
            return self.scenario.audio(self.client.format)
        return speak(words, self.client.format)

    async def provoke(self, text: str) -> int:
        """Ask for an answer: by a text where the provider takes one, else by speech. The place in the record before."""
        since = len(self.client.events)
        if not self.can.text_input:
            await self.client.speak(self.speech(None if text == self.scenario.long else text))
            return since
        await self.write(text)
        await self.client.send("response.create")
        return since

    async def write(self, text: str, role: str = "user", **fields: Any) -> Event:
        """Put a message into the conversation; the item as it is told.

        Raises:
            Declined: it is not taken.
        """
        kind = "output_text" if role == "assistant" else "input_text"
        item = {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
        return await self.add(item, **fields)

    async def add(self, item: dict[str, Any], **fields: Any) -> Event:
        """Put an item into the conversation; the event that tells of it when it is complete."""
        since = len(self.client.events)
        added = await self.client.ask(
            "conversation.item.create", "conversation.item.added", item=item, **fields
        )
        item_id = added["item"]["id"]
        done = await self.client.wait("conversation.item.done", since=since)
        expect(done["item"]["id"] == item_id, "another item is done than was added")
        return added

    async def answer(self, since: int) -> Event:
        """The response that has ended first after that place of the record."""
        return dict((await self.client.wait("response.done", since=since))["response"])

    def audio_of(self, since: int) -> bytes:
        """The audio of the answers from that place of the record on."""
        deltas = self.client.all("response.output_audio.delta", since=since)
        return b"".join(pybase64.b64decode(event["delta"]) for event in deltas)

    def says(self, audio: bytes, words: str) -> None:
        """Fail unless the audio says these words, where its voice is one that can be read back."""
        if self.stand.told is not None and self.scenario.virtual:
            heard = understand(audio, self.client.format)
            expect(heard == " ".join(words.split()), f"the audio says {heard!r}, not {words!r}")

    # -- refusals

    def reason(self, error: Event, may_lack: Sequence[str]) -> str:
        """The words of a refusal, if there is a reason for it; otherwise the check fails."""
        words = str(error["message"])
        expect(words and error["code"], f"the error has no words or no code: {error}")
        if all(_has(self.can, feature) for feature in may_lack):
            fail(f"it was refused, though the provider can do it: {words} ({error['code']})")
        return words

    async def alive(self) -> None:
        """Fail unless the session goes on."""
        await self.client.ask("session.update", "session.updated", session={"type": "realtime"})


def _has(can: Capabilities, feature: str) -> bool:
    name, _, member = feature.partition(".")
    return can.supports(name) and (not member or member in getattr(can, name))


def words_of(response: Event) -> str:
    """What was said in a response."""
    parts = [part for item in response["output"] for part in item.get("content", ())]
    return " ".join(str(part.get("transcript") or part.get("text") or "") for part in parts)
