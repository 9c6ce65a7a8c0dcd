"""No call at all: what the pace itself costs."""

from __future__ import annotations

from bench.hot_path.harness import Ear


class _Line:
    def __init__(self, url: str, ear: Ear, chunk_ms: int) -> None: ...

    async def connect(self) -> None: ...

    def send(self, frame: bytes) -> None: ...

    async def close(self) -> None: ...


LINES = {"timers": _Line}
