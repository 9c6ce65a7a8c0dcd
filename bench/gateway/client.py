"""The callers, in a process of their own: grow from no call to many, and measure at each step.

Run as `python -m bench.gateway.client '{...}'` with a `records.Job` in JSON; prints an `Outcome`. A call is the `floor`
of `bench.hot_path`, the cheapest client that there is.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

import msgspec
import uvloop
from picows import ws_connect

from bench.gateway.records import Job, Outcome, Ports, Step, Usage
from bench.hot_path.client import Control
from bench.hot_path.figures import percentile
from bench.hot_path.harness import Ear, Line, Pacer, Window
from bench.hot_path.messages import DELTA_BYTES
from bench.hot_path.sides import side

__all__ = ["main"]

#: Seconds of the first call, which is apart, and for what is under way to arrive.
_WARM_UP_S = 2.0
_ARRIVAL_S = 0.5
#: Calls that are connected at the same time. All at once would measure how a crowd is let in.
_AT_ONCE = 5


class _Relay:
    """The relay's control."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def reach(cls, ports: Ports) -> _Relay:
        return cls(*await asyncio.open_connection("127.0.0.1", ports.control))

    async def ask(self, command: str) -> Usage:
        self._writer.write(command.encode() + b"\n")
        line = await asyncio.wait_for(self._reader.readline(), 30)
        return msgspec.json.decode(line, type=Usage)

    def close(self) -> None:
        self._writer.close()


class _Run:
    """A job at work."""

    def __init__(self, job: Job, server: Control, relay: _Relay) -> None:
        self._job = job
        self._server = server
        self._relay = relay
        self._make = side("floor")
        self._url = f"ws://127.0.0.1:{job.relay.calls}/v1"
        self._window = Window()
        self._pacer = Pacer(self._window)
        self._lines: list[Line] = []
        self._ears: list[Ear] = []

    async def outcome(self) -> Outcome:
        """All steps, one after the other."""
        await self._warm_up()
        before = await self._relay.ask("settle")
        self._pacer.watch()
        steps = []
        for calls in self._job.calls:
            steps.append(await self._step(calls))
            limit = self._job.lag_limit_ms
            if limit is not None and steps[-1].relay.loop_lag_p99_ms > limit:
                break
        await self._pacer.stop()
        await self._server.report("stop")
        await asyncio.sleep(_ARRIVAL_S)
        report = await self._server.report("end")
        received = sum(ear.audio_bytes for ear in self._ears)
        sent = self._pacer.audio_bytes
        for line in self._lines:
            await line.close()
        return Outcome(
            steps=steps,
            rss_before_kb=before.rss_kb,
            delivered=received / max(1, report.deltas_sent * DELTA_BYTES),
            appended=report.audio_bytes / max(1, sent),
            others=report.others,
        )

    async def _warm_up(self) -> None:
        """Hold the first call: what it loads is not what a call costs."""
        pacer = Pacer(Window())
        line = self._make(self._url, Ear(Window()), 20)
        await line.connect()
        pacer.begin(line)
        await asyncio.sleep(_WARM_UP_S)
        await pacer.stop()
        await line.close()
        await asyncio.sleep(_ARRIVAL_S)

    async def _step(self, calls: int) -> Step:
        window = self._window
        connect_ms: list[float] = []
        while len(self._lines) < calls:
            n = min(_AT_ONCE, calls - len(self._lines))
            connect_ms += await asyncio.gather(*(self._connect() for _ in range(n)))
        await asyncio.sleep(self._job.settle)
        await self._server.ask("begin")
        await self._relay.ask("begin")
        window.clear()
        await asyncio.sleep(self._job.seconds)
        usage = await self._relay.ask("end")
        latencies, late, lags = window.latencies_ns[:], window.late_s[:], window.lags_s[:]
        missed = window.missed
        report = await self._server.report("end")
        return Step(
            calls=calls,
            relay=usage,
            latency_p50_ms=percentile(latencies, 50) / 1e6,
            latency_p99_ms=percentile(latencies, 99) / 1e6,
            append_late_p99_ms=percentile(report.append_late_us, 99) / 1e3,
            missed_deadlines=missed,
            frames=len(late),
            client_lag_p99_ms=percentile(lags, 99) * 1e3,
            connect_ms=connect_ms,
        )

    async def _connect(self) -> float:
        began = time.monotonic()
        ear = Ear(self._window)
        line = self._make(self._url, ear, 20)
        await asyncio.wait_for(line.connect(), 30)
        self._pacer.begin(line)
        self._ears.append(ear)
        self._lines.append(line)
        return (time.monotonic() - began) * 1000


async def _main(job: Job) -> Outcome:
    control = Control()
    await ws_connect(lambda: control, f"ws://127.0.0.1:{job.server_port}/control")
    relay = await _Relay.reach(job.relay)
    try:
        return await _Run(job, control, relay).outcome()
    finally:
        relay.close()


def main(arguments: list[str]) -> None:
    """The command line."""
    job = msgspec.json.decode(arguments[0], type=Job)
    if job.core is not None:
        os.sched_setaffinity(0, {job.core})
    outcome = uvloop.run(_main(job))
    sys.stdout.write(msgspec.json.encode(outcome).decode() + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
