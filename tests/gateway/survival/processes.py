"""The gateway as a process of its own, which can be signalled, killed and started again on the same store."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.gateway.gateways import until

#: Seconds that the process may take to listen, and to end.
BUDGET = 30.0


class Process:
    """`voxengine serve`, and the port that it listens on."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log
        self.port = 0

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self._log.read_text(encoding="utf-8")

    def send(self, number: int) -> None:
        self._process.send_signal(number)

    async def kill(self) -> None:
        """End it as a crash would."""
        self.send(signal.SIGKILL)
        assert await self.wait() == -signal.SIGKILL

    async def wait(self, seconds: float = BUDGET) -> int:
        """Its exit code."""
        return await asyncio.wait_for(self._process.wait(), seconds)

    async def logged(self, words: str, times: int = 1) -> None:
        """Wait until the log says so, so many times."""
        async with asyncio.timeout(10):
            await until(lambda: self.log.count(words) >= times)

    async def gone(self) -> None:
        """See to it that it is."""
        if self._process.returncode is None:
            self.send(signal.SIGKILL)
        await self._process.wait()


@asynccontextmanager
async def process(
    file: Path, environment: Mapping[str, str] | None = None, descriptors: int | None = None
) -> AsyncIterator[Process]:
    """The gateway of this configuration, which has to say port = 0. Its log is beside the file.

    `descriptors` is how many it may have open.
    """
    log = file.with_name(f"{file.stem}-{len(list(file.parent.glob('*.log')))}.log")
    with log.open("wb") as stderr:
        started = await asyncio.create_subprocess_exec(
            *(("prlimit", f"--nofile={descriptors}") if descriptors else ()),
            str(Path(sys.executable).with_name("voxengine")),
            *("serve", "--config", str(file), "--json"),
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, **(environment or {})},
        )
    assert started.stdout is not None
    made = Process(started, log)
    try:
        line = await asyncio.wait_for(started.stdout.readline(), BUDGET)
        assert line, made.log
        made.port = int(json.loads(line)["address"].rpartition(":")[2])
        yield made
    finally:
        await made.gone()
