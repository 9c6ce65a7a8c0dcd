"""Clients that keep what they were told, to be compared with what outlives the gateway."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection

from tests.emulators.wire import PCM24, WEATHER, silence
from voxengine.audio.signal import speak
from voxengine.testing.oracles.openai_realtime import realtime_judge

Event = dict[str, Any]

#: Events that say that an item is in the conversation as they show it.
_PROMISES = ("conversation.item.done", "conversation.item.added")
TEXT = {"output_modalities": ["text"]}


class Caller:
    """One client. `items` are those that it was promised, by id; `deleted` are those that it was told are gone."""

    def __init__(self, socket: ClientConnection, before: Caller | None = None) -> None:
        self.socket = socket
        self.events: list[Event] = []
        self.items: dict[str, Event] = dict(before.items) if before else {}
        self.deleted: set[str] = set(before.deleted) if before else set()
        self.instructions: str | None = before.instructions if before else None
        self.session_id = ""
        self.wrong: list[str] = []
        self.over = asyncio.Event()
        self._more = asyncio.Event()
        self._judge = realtime_judge()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for message in self.socket:
                self.wrong += self._judge.server(message)
                self._take(json.loads(message))
        except websockets.ConnectionClosed:
            pass
        finally:
            self.over.set()
            self._more.set()

    def _take(self, event: Event) -> None:
        self.events.append(event)
        kind = event["type"]
        if kind in _PROMISES:
            item = event["item"]
            if kind.endswith("done") or item["status"] == "completed":
                self.items[item["id"]] = item
        elif kind == "conversation.item.input_audio_transcription.completed":
            item = self.items[event["item_id"]]
            item["content"] = [{"type": "input_audio", "transcript": event["transcript"]}]
        elif kind == "conversation.item.deleted":
            self.items.pop(event["item_id"], None)
            self.deleted.add(event["item_id"])
        elif kind.startswith("session."):
            self.session_id = event["session"]["id"]
            self.instructions = event["session"].get("instructions")
        self._more.set()

    # -- what it does

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def told(self, kind: str, n: int = 1, seconds: float = 20.0) -> Event:
        """The n-th event of that type, waited for."""
        async with asyncio.timeout(seconds):
            while len(found := self.all(kind)) < n:
                assert not self.over.is_set(), f"the connection ended before {kind}"
                self._more.clear()
                await self._more.wait()
        return found[n - 1]

    def all(self, kind: str) -> list[Event]:
        return [event for event in self.events if event["type"] == kind]

    async def ask(self, kind: str, answer: str, **fields: Any) -> Event:
        n = len(self.all(answer)) + 1
        await self.send(kind, **fields)
        return await self.told(answer, n)

    async def update(self, **session: Any) -> Event:
        session = {"type": "realtime", **session}
        return await self.ask("session.update", "session.updated", session=session)

    async def write(self, text: str) -> str:
        """A text of the user's; returns the item's id."""
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        told = await self.ask("conversation.item.create", "conversation.item.done", item=item)
        return str(told["item"]["id"])

    async def answer(self, **response: Any) -> Event:
        told = await self.ask("response.create", "response.done", response=response)
        found: Event = told["response"]
        return found

    async def say(self, text: str, pause_ms: float = 800) -> None:
        """Speak, at the pace of speech."""
        audio = speak(text, PCM24) + silence(pause_ms)
        step = PCM24.n_bytes(40)
        for start in range(0, len(audio), step):
            piece = base64.b64encode(audio[start : start + step]).decode()
            await self.send("input_audio_buffer.append", audio=piece)
            await asyncio.sleep(0.04)

    # -- what it is given to do until the connection ends

    async def chat(self, name: str, *, aloud: bool = False) -> None:
        """Write, and be answered; now and then change what was said."""
        await self.update(instructions=f"You talk to {name}.", **({} if aloud else TEXT))
        for n in range(1000):
            item_id = await self.write(f"{name} says {n}")
            await self.answer()
            if n % 3 == 2:
                await self.ask(
                    "conversation.item.delete", "conversation.item.deleted", item_id=item_id
                )

    async def speak(self, name: str) -> None:
        """Talk, and be answered."""
        heard = {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}
        await self.update(instructions=f"You talk to {name}.", audio=heard)
        for n in range(1000):
            done = len(self.all("response.done"))
            await self.say(f"{name} says {n}")
            await self.told("response.done", done + 1)

    async def use_tools(self, name: str) -> None:
        """Have a function called, and answer the calls."""
        await self.update(instructions=f"You talk to {name}.", tools=[WEATHER], **TEXT)
        for n in range(1000):
            await self.write(f"{name} wants weather {n}")
            done = await self.answer()
            for item in done["output"]:
                if item["type"] == "function_call":
                    await self.give_output(item["call_id"], f"{name}: rain {n}")
            await self.answer()

    async def give_output(self, call_id: str, output: str) -> Event:
        item = {"type": "function_call_output", "call_id": call_id, "output": output}
        return await self.ask("conversation.item.create", "conversation.item.done", item=item)

    async def until_the_end(self, doing: Any) -> None:
        """Do that until the connection ends."""
        task = asyncio.ensure_future(doing)
        await asyncio.wait([task, self._reader], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            with suppress(AssertionError, websockets.ConnectionClosed):
                task.result()
        task.cancel()
        await asyncio.wait([task])

    async def close(self) -> None:
        await self.socket.close()
        await self._reader

    async def cut(self) -> None:
        """The network is gone, without a good-bye."""
        self.socket.transport.abort()
        await self._reader


def words_of(item: Event) -> str:
    """What an item on the wire says."""
    if item["type"] == "message":
        parts = [part.get("text") or part.get("transcript") or "" for part in item["content"]]
        return " ".join(parts)
    return str(item.get("output") or item.get("arguments"))


@asynccontextmanager
async def calling(
    port: int, query: str = "model=play", key: str | None = None, before: Caller | None = None
) -> AsyncIterator[Caller]:
    """A client that is in a call, after `session.created`."""
    headers: Mapping[str, str] = {"Authorization": f"Bearer {key}"} if key else {}
    async with websockets.connect(
        f"ws://127.0.0.1:{port}/v1/realtime?{query}",
        additional_headers=headers,
        compression=None,
        proxy=None,
        max_size=64 * 1024 * 1024,
        open_timeout=20,
    ) as socket:
        caller = Caller(socket, before)
        await caller.told("session.created")
        yield caller
        await caller.close()
        assert caller.wrong == []


async def status(port: int, query: str = "model=play", key: str | None = None) -> tuple[int, str]:
    """With which status and code a handshake is answered: 101 and nothing, if the call is opened."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    url = f"ws://127.0.0.1:{port}/v1/realtime?{query}"
    try:
        async with websockets.connect(url, additional_headers=headers, proxy=None):
            return 101, ""
    except websockets.InvalidStatus as refused:
        response = refused.response
        return response.status_code, json.loads(response.body or b"{}")["error"]["code"]
