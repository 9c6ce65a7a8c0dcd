from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.brains.chat_server import ChatServer
from voxengine.providers.cascade.brains.openai_chat import OpenAIChatBrain


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with ChatServer() as server:
        yield server


@pytest.fixture
async def make_brain(server: ChatServer) -> AsyncIterator[Callable[..., OpenAIChatBrain]]:
    """Brains that talk to the server, closed at the end of the test."""
    brains: list[OpenAIChatBrain] = []

    def make(**options: Any) -> OpenAIChatBrain:
        brains.append(OpenAIChatBrain("judge-1", {"base_url": server.url, **options}))
        return brains[-1]

    yield make
    for brain in brains:
        await brain.close()
