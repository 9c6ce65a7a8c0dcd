"""Gateways for tests: in memory, with the mock provider, unless a test says otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from voxengine.gateway.config import GatewayConfig
from voxengine.gateway.gateway import Gateway
from voxengine.gateway.grants import Grant

ANYONE = Grant(key_id="anyone")


class Client:
    """A client's end of a call: notes what it is told, and is its own peer."""

    def __init__(self) -> None:
        self.peer = self
        self.sent: list[bytes] = []
        self.closed: list[tuple[int, str]] = []

    def send(self, message: bytes) -> None:
        self.sent.append(bytes(message))

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.closed.append((code, reason))

    def on_open(self, peer: object) -> None:
        pass

    def on_message(self, message: memoryview | bytes) -> None:
        pass

    def on_close(self, code: int, reason: str) -> None:
        pass


def config(
    content: Mapping[str, Any] | None = None, folder: Path = Path(), **gateway: Any
) -> GatewayConfig:
    given = dict(content or {})
    # The machine that the tests run on may be late by itself.
    own = {"store": "memory", "max_loop_lag_ms": 60_000, **given.pop("gateway", {}), **gateway}
    routes = {"play": {"providers": ["mock"]}}
    return GatewayConfig.from_dict({"routes": routes, **given, "gateway": own}, folder=folder)


async def until(condition: Callable[[], object]) -> None:
    """Wait until it holds. The test's time limit is the budget."""
    while not condition():  # noqa: ASYNC110 - what changes has no event for it
        await asyncio.sleep(0.01)


@asynccontextmanager
async def running(
    content: Mapping[str, Any] | None = None, folder: Path = Path(), **gateway: Any
) -> AsyncIterator[Gateway]:
    made = Gateway(config(content, folder, **gateway))
    await made.start()
    try:
        yield made
    finally:
        await made.close()
