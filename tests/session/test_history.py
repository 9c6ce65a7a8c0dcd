"""What the next provider is told of a conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from voxengine import BaseProvider, Capabilities, Item, VoiceEngine, register_provider
from voxengine.providers.registry import unregister_provider


class Notes(BaseProvider):
    """Calls a tool, and notes the history that it is given."""

    capabilities = Capabilities(
        audio_output=False, tools=True, continues_after_tool=True, cancel=True, history="items"
    )
    given: Sequence[Item] = ()

    async def connect(self) -> None: ...

    async def disconnect(self) -> None: ...

    async def send_audio(self, audio_data: bytes) -> None: ...

    async def interrupt(self) -> None: ...

    async def send_tool_result(self, call_id: str, output: str) -> None: ...

    async def send_text(self, text: str, role: str = "user") -> None:
        self.emit_event("response_started", {"response_id": "r1"})
        for call, name in (("c1", "quick"), ("c2", "slow")):
            fields: dict[str, Any] = {"call_id": call, "name": name, "response_id": "r1"}
            self.emit_event("function_invoked", fields)

    async def add_conversation_history(self, items: Sequence[Item]) -> None:
        self.given = list(items)


@pytest.fixture(autouse=True)
def notes() -> Any:
    register_provider("notes", Notes)
    yield
    unregister_provider("notes")


async def test_a_call_without_a_result_is_not_told() -> None:
    engine = VoiceEngine(provider="notes")

    @engine.tool
    async def quick() -> str:
        return "done"

    @engine.tool
    async def slow() -> None:
        await asyncio.Event().wait()

    async with engine:
        await engine.send_text("do both")
        await asyncio.sleep(1)
        await engine.interrupt()
        await engine.switch_provider("notes")
        assert isinstance(engine.provider, Notes)
        told = [(i.kind, i.call_id or i.text) for i in engine.provider.given]
        assert told == [
            ("message", "do both"),
            ("function_call", "c1"),
            ("function_output", "c1"),
        ]
        assert [i.call_id for i in engine.conversation if i.kind == "function_call"] == ["c1", "c2"]
