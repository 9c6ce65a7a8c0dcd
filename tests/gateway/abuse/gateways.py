"""A real gateway to be abused, and frames of clients that know no rules."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.gateway.survival.processes import Process, process


@asynccontextmanager
async def gateway(
    folder: Path, descriptors: int | None = None, **settings: Any
) -> AsyncIterator[Process]:
    """One whose mock answers at once; in the end its log has no failure of ours."""
    settings = {"port": 0, "max_loop_lag_ms": 60_000, "store": "memory", **settings}
    lines = ["[gateway]", *(f"{name} = {json.dumps(value)}" for name, value in settings.items())]
    lines += ["[providers.toy]", 'provider = "mock"', "[providers.toy.metadata]", "latency_ms = 30"]
    lines += ["[routes.play]", 'providers = ["toy"]']
    file = folder / "voxengine.toml"
    file.write_text("\n".join(lines), encoding="utf-8")
    async with process(file, descriptors=descriptors) as made:
        yield made
        assert "Traceback" not in made.log


def frame(event: dict[str, Any] | bytes, first: int = 0x81, masked: int = 0x80) -> bytes:
    """A frame of a client, masked with zeros. `first` is its first byte: text, and the last of its message."""
    data = event if isinstance(event, bytes) else json.dumps(event).encode()
    size = len(data)
    mask = bytes(4) if masked else b""
    if size < 126:
        return bytes([first, masked | size]) + mask + data
    return bytes([first, masked | 127]) + size.to_bytes(8, "big") + mask + data
