"""A small provider for tests of the engine: it does what a test tells it, and notes what was asked of it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.conversation import Item
from voxengine.providers.base import BaseProvider
from voxengine.providers.capabilities import Capabilities

RATE = 24000
_numbers = itertools.count()
#: All that the session can use.
ABLE = Capabilities(
    input_formats=(AudioFormat("pcm16", RATE),),
    text_output=True,
    cancel=True,
    truncate=True,
    commit=True,
    clear=True,
    say=True,
    tools=True,
    history="items",
    system_messages=True,
)


def tone(ms: int, rate: int = RATE) -> bytes:
    """Audible samples."""
    return b"\x00\x20" * (rate * ms // 1000)


class Desk(BaseProvider):
    """Each class made by `desk` has lists and hooks of its own."""

    capabilities = ABLE
    #: All instances, in the order in which they were made.
    made: ClassVar[list[Desk]]
    #: By the name of a method: called with the provider and the arguments, in the place of what it does.
    hooks: ClassVar[dict[str, Callable[..., Any]]]

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        #: What was asked of it: the method's name and its arguments.
        self.calls: list[tuple[Any, ...]] = []
        self.history: list[Item] = []
        self.closed = 0
        type(self).made.append(self)
        # Ids are never those of another provider.
        self._number = 100 * next(_numbers)

    async def _do(self, method: str, *args: Any) -> Any:
        self.calls.append((method, *args))
        hook = type(self).hooks.get(method)
        if hook is not None:
            result = hook(self, *args)
            return await result if asyncio.iscoroutine(result) else result
        return None

    def asked(self, method: str) -> list[tuple[Any, ...]]:
        """The arguments of all calls of a method."""
        return [call[1:] for call in self.calls if call[0] == method]

    @property
    def order(self) -> list[str]:
        return [call[0] for call in self.calls]

    # -- what the contract asks

    async def connect(self) -> Any:
        return await self._do("connect")

    async def disconnect(self) -> None:
        self.closed += 1
        await self._do("disconnect")

    async def send_audio(self, audio_data: bytes) -> None:
        await self._do("send_audio", audio_data)

    async def send_text(self, text: str, role: str = "user") -> None:
        await self._do("send_text", text, role)

    async def interrupt(self) -> None:
        await self._do("interrupt")

    async def create_response(
        self, modalities: list[str] | None = None, *, instructions: str | None = None
    ) -> None:
        await self._do("create_response", modalities, instructions)

    async def generate_tts(self, text: str) -> None:
        await self._do("generate_tts", text)

    async def configure_session(self, config: Mapping[str, Any]) -> None:
        await self._do("configure_session", dict(config))
        await super().configure_session(config)

    async def add_conversation_history(self, items: Sequence[Item]) -> None:
        self.history = list(items)
        await self._do("add_conversation_history", list(items))

    async def send_tool_result(self, call_id: str, output: str) -> None:
        await self._do("send_tool_result", call_id, output)

    async def truncate_item(self, item_id: str, heard_ms: float, heard_text: str) -> None:
        await self._do("truncate_item", item_id, heard_ms, heard_text)

    async def commit_audio(self) -> None:
        await self._do("commit_audio")

    async def clear_audio(self) -> None:
        await self._do("clear_audio")

    # -- what a test lets it say

    def begin(self) -> str:
        """Begin a response; its id."""
        self._number += 1
        self.emit(ev.ResponseStarted(response_id=f"r{self._number}", **self.meta()))
        return f"r{self._number}"

    def words(self, text: str, n: int | None = None) -> None:
        n = n or self._number
        self.emit(
            ev.TextOutput(
                text=text, item_id=f"a{n}", response_id=f"r{n}", is_partial=True, **self.meta()
            )
        )

    def audio(self, data: bytes, n: int | None = None, **fields: Any) -> None:
        n = n or self._number
        fields.setdefault("sample_rate", RATE)
        self.emit(
            ev.AudioOutputChunk(
                audio_data=data, item_id=f"a{n}", response_id=f"r{n}", **fields, **self.meta()
            )
        )

    def end(self, n: int | None = None) -> None:
        self.emit(ev.ResponseCompleted(response_id=f"r{n or self._number}", **self.meta()))

    def answer(self, text: str, ms: int = 100) -> None:
        """A whole response at once."""
        self.begin()
        self.words(text)
        if ms:
            self.audio(tone(ms))
        self.end()

    def lose(self) -> None:
        """The connection breaks."""
        self.emit(ev.ConnectionLost(reason="cable cut", error="cable cut", **self.meta()))


def desk(capabilities: Capabilities = ABLE, **hooks: Callable[..., Any]) -> type[Desk]:
    """A provider's class with hooks by the names of methods."""
    return type("Desk", (Desk,), {"capabilities": capabilities, "hooks": hooks, "made": []})
