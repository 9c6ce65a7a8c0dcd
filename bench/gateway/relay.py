"""One relay in a process of its own.

Run as `python -m bench.gateway.relay SIDE SERVER_PORT [CORE]`; it prints its `Ports` and works until its input ends.
The one who measures connects to the port for control and sends lines, each of which is answered with a `Usage`:
`settle` before all calls, `begin` and `end` of a window.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import sys
import time

import msgspec
import uvloop

from bench.gateway.records import Ports, Usage
from bench.gateway.sides import relay_of
from bench.hot_path.client import rss_kb, waited_s
from bench.hot_path.figures import percentile
from bench.hot_path.harness import Pacer, Window

__all__ = ["main"]


class _Meter:
    """Measures this process."""

    def __init__(self) -> None:
        self._window = Window()
        self._pacer = Pacer(self._window)
        self._pacer.watch()
        self._began = self._now()

    @staticmethod
    def _now() -> tuple[float, float, float, float]:
        return time.monotonic(), time.process_time(), time.thread_time(), waited_s()

    def begin(self) -> Usage:
        """A window begins."""
        usage = self.end()
        self._window.clear()
        self._began = self._now()
        return usage

    def end(self) -> Usage:
        """What was used since it began."""
        window, cpu, loop_cpu, waited = (
            b - a for a, b in zip(self._began, self._now(), strict=True)
        )
        return Usage(
            window_s=window,
            cpu_s=cpu,
            loop_cpu_s=loop_cpu,
            loop_lag_p99_ms=percentile(self._window.lags_s, 99) * 1000,
            rss_kb=rss_kb(),
            waited=waited / window if window else 0.0,
        )

    def settle(self) -> Usage:
        """Give back what was used for a moment only, so that what calls take shows."""
        gc.collect()
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
        return self.begin()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer commands."""
        commands = {b"begin": self.begin, b"end": self.end, b"settle": self.settle}
        while line := (await reader.readline()).strip():
            writer.write(msgspec.json.encode(commands[line]()) + b"\n")
        writer.close()

    async def stop(self) -> None:
        """Measure no more."""
        await self._pacer.stop()


async def _main(side: str, server_port: int) -> None:
    async with relay_of(side)(server_port) as port:
        meter = _Meter()
        control = await asyncio.start_server(meter.serve, "127.0.0.1", 0)
        ports = Ports(port, control.sockets[0].getsockname()[1])
        print(msgspec.json.encode(ports).decode(), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
        control.close()
        await meter.stop()


def main(arguments: list[str]) -> None:
    """The command line."""
    side, server_port, *core = arguments
    if core:
        os.sched_setaffinity(0, {int(core[0])})
    uvloop.run(_main(side, int(server_port)))


if __name__ == "__main__":
    main(sys.argv[1:])
