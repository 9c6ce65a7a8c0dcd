"""A caller for tests of whole conversations on the mock: a microphone that is always on, and a record of what came."""

from __future__ import annotations

import asyncio
from typing import Any, Self

from voxengine import VoiceEngine
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.signal import speak, understand
from voxengine.providers.base import BaseProvider
from voxengine.providers.capabilities import Capabilities
from voxengine.providers.mock import FaultPlan, MockProvider

FORMAT = AudioFormat()
#: Of the microphone. A real one has 20; with half as many frames these calls take that much less of a machine.
FRAME_MS = 40

LATENCY = {"connect": 100, "first": 400, "network": 20}
SCRIPT: dict[str, Any] = {
    "tell me": "one two three four five six",
    "look it up": {"tool": "look", "then": "found {output}"},
    "are you there": "yes i am",
}


class Caller:
    """Calls the mock: `say` puts words into the microphone, which sends silence otherwise."""

    def __init__(self, *faults: Any, config: dict[str, Any] | None = None, **metadata: Any) -> None:
        self.plan = FaultPlan(faults)
        settings = {"latency_ms": LATENCY, "mock_responses": SCRIPT, **metadata}
        self.engine = VoiceEngine(
            provider="mock",
            metadata={"faults": self.plan, **settings},
            # What is said when nobody is left has tests of its own.
            **{"apology": None, **(config or {})},
        )
        self.events: list[Any] = []
        #: All providers that events were seen of, and what was played of each item.
        self.providers: list[BaseProvider] = []
        self.played: dict[str, bytearray] = {}
        #: Calls of the tool.
        self.looked: list[str] = []
        self.tool_seconds = 1.0
        self.engine.on("*", self._note)
        self.engine.on("audio_chunk", self._play)
        self.engine.tool(self.look)
        self._words = bytearray()
        self._microphone: asyncio.Task[None] | None = None

    async def look(self) -> str:
        """Look something up."""
        self.looked.append("look")
        await asyncio.sleep(self.tool_seconds)
        return "it"

    def _note(self, event: Any) -> None:
        self.events.append(event)
        provider = self.engine.provider
        if provider is not None and provider not in self.providers:
            self.providers.append(provider)

    def _play(self, event: Any) -> None:
        self.played.setdefault(event.item_id, bytearray()).extend(event.audio_data)

    # -- the call

    async def __aenter__(self) -> Self:
        await self.engine.connect()
        self._microphone = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._microphone is not None
        if self._microphone.done() and not self._microphone.cancelled():
            self._microphone.result()  # sending audio has failed
        self._microphone.cancel()
        await asyncio.wait([self._microphone])
        await self.engine.disconnect()

    def hang_up_microphone(self) -> None:
        """No more audio is sent."""
        assert self._microphone is not None
        self._microphone.cancel()

    async def _listen(self) -> None:
        while True:
            quiet = silence(FRAME_MS, self.engine.config.input_format)
            size = len(quiet)
            frame = bytes(self._words[:size])
            frame += quiet[len(frame) :]
            del self._words[:size]
            await self.engine.send_audio(frame)
            await asyncio.sleep(FRAME_MS / 1000)

    def say(self, text: str) -> float:
        """Begin to say this; returns how many seconds it takes."""
        format = self.engine.config.input_format
        audio = speak(text, format)
        self._words += audio
        return format.duration_ms(len(audio)) / 1000

    async def until(self, kind: type[ev.ProviderEvent], seconds: float = 30.0) -> Any:
        """Wait for the next event of a class."""
        stream = self.engine.events(kind)
        async with asyncio.timeout(seconds):
            event = await anext(stream)
        stream.close()
        return event

    async def quiet(self, seconds: float = 30.0) -> None:
        """Wait until nobody has anything to say for a while."""
        calm = 0
        async with asyncio.timeout(seconds):
            while calm < 60:
                await asyncio.sleep(0.02)
                quiet = self.engine.state == "idle" and not self._words
                calm = calm + 1 if quiet else 0

    def lose(self, code: str = "closed") -> None:
        """The connection breaks."""
        assert isinstance(self.engine.provider, MockProvider)
        self.engine.provider.simulate_error(code)

    # -- what came of it

    def of(self, kind: type[Any]) -> list[Any]:
        return [e for e in self.events if type(e) is kind]

    @property
    def capabilities(self) -> Capabilities:
        return self.providers[0].capabilities

    def answers(self, turn_id: str) -> list[str]:
        """The answers to this item of the user that were given to their end."""
        return [
            i.text
            for i in self.engine.conversation.messages
            if i.role == "assistant" and i.turn_id == turn_id and i.status == "completed"
        ]

    def check_log(self) -> None:
        """What the log says of the assistant is what was heard; nothing waits; no tool was run twice."""
        for item in self.engine.conversation.messages:
            assert item.status != "in_progress", item
            if item.role == "assistant":
                heard = bytes(self.played.get(item.id, b""))[: FORMAT.n_bytes(item.heard_ms)]
                assert item.heard_ms <= item.audio_ms
                words = understand(heard, FORMAT) if len(heard) else ""
                assert item.text.split() == words.split()[: len(item.text.split())], (item, words)
        outputs = [i.call_id for i in self.engine.conversation if i.kind == "function_output"]
        assert len(outputs) == len(set(outputs))
