"""One side in a process of its own: grows from no call to many, and measures at each step.

Run as `python -m bench.hot_path.client '{...}'` with a `records.Job` in JSON; prints an `Outcome`.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import resource
import sys
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import msgspec
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from bench.hot_path.figures import percentile
from bench.hot_path.harness import Ear, Line, Pacer, Window
from bench.hot_path.messages import DELTA_BYTES
from bench.hot_path.records import Job, Outcome, Report, Step
from bench.hot_path.sides import side

__all__ = ["Control", "rss_kb", "waited_s"]

#: Seconds of the first call, which is apart: what a first call loads is not what a call costs. Audio comes after 1 s.
_WARM_UP_S = 2.0
#: `ru_maxrss` is in bytes on macOS, and in KB elsewhere.
_RSS_UNITS_PER_KB = 1024 if sys.platform == "darwin" else 1
#: Seconds for what is under way to arrive.
_ARRIVAL_S = 0.3


class Control(WSListener):
    """The connection that tells the server about windows."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[bytes] | None = None
        self._transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        waiting = self._answer is not None and not self._answer.done()
        if self._answer is not None and waiting and frame.msg_type is WSMsgType.TEXT:
            self._answer.set_result(frame.get_payload_as_bytes())

    async def ask(self, command: str) -> bytes:
        """Send a command; the answer."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.send(WSMsgType.TEXT, command.encode())
        return await asyncio.wait_for(self._answer, 30)

    async def report(self, command: str) -> Report:
        """Send a command that is answered with a report."""
        return msgspec.json.decode(await self.ask(command), type=Report)


class _Run:
    """A job at work."""

    def __init__(self, job: Job, control: Control) -> None:
        self._job = job
        self._control = control
        self._make = side(job.side)
        self._url = f"ws://127.0.0.1:{job.port}/v1"
        self._window = Window()
        self._pacer = Pacer(self._window)
        self._lines: list[Line] = []
        self._ears: list[Ear] = []
        self._rss_before = 0.0

    async def outcome(self) -> Outcome:
        """All steps, one after the other."""
        first_call_lag_s = await self._warm_up()
        gc.collect()
        _give_back()
        self._rss_before = rss_kb()
        if self._job.traced:
            tracemalloc.start()
        self._pacer.watch()
        steps = [await self._step(calls) for calls in self._job.calls]
        await self._pacer.stop()
        await self._control.report("stop")
        await asyncio.sleep(_ARRIVAL_S)
        report = await self._control.report("end")
        received = sum(ear.audio_bytes for ear in self._ears)
        for line in self._lines:
            await line.close()
        return Outcome(
            steps=steps,
            delivered=_fraction(received, report.deltas_sent * DELTA_BYTES),
            appended=_fraction(report.audio_bytes, self._pacer.audio_bytes if report.calls else 0),
            others=report.others,
            first_call_lag_ms=first_call_lag_s * 1000,
        )

    async def _warm_up(self) -> float:
        """Hold the first call of the process; the longest time in seconds for which it held the loop up."""
        window = Window()
        pacer = Pacer(window)
        pacer.watch()
        line = self._make(self._url, Ear(window), self._job.chunk_ms)
        await line.connect()
        pacer.begin(line)
        await asyncio.sleep(_WARM_UP_S)
        await pacer.stop()
        await line.close()
        await asyncio.sleep(_ARRIVAL_S)
        return max(window.lags_s)

    async def _step(self, calls: int) -> Step:
        window = self._window
        began, cpu = time.monotonic(), time.process_time()
        connect_ms = [await self._connect() for _ in range(calls - len(self._lines))]
        connect_s, connect_cpu_s = time.monotonic() - began, time.process_time() - cpu
        for line in self._lines[-len(connect_ms) :]:
            self._pacer.begin(line)
        await asyncio.sleep(self._job.settle)
        await self._control.ask("begin")
        window.clear()
        began, cpu, waited = time.monotonic(), time.process_time(), waited_s()
        await asyncio.sleep(self._job.seconds)
        window_s, cpu_s = time.monotonic() - began, time.process_time() - cpu
        waited = (waited_s() - waited) / window_s
        latencies, lags, late = window.latencies_ns[:], window.lags_s[:], window.late_s[:]
        missed, rss = window.missed, rss_kb() - self._rss_before
        heap = tracemalloc.get_traced_memory()[0] / 1024
        report = await self._control.report("end")
        return Step(
            calls=calls,
            window_s=window_s,
            cpu_s=cpu_s,
            latency_p50_ms=percentile(latencies, 50) / 1e6,
            latency_p99_ms=percentile(latencies, 99) / 1e6,
            append_late_p99_ms=percentile(report.append_late_us, 99) / 1e3,
            missed_deadlines=missed,
            frames=len(late),
            loop_lag_p99_ms=percentile(lags, 99) * 1e3,
            rss_kb=rss,
            heap_kb=heap,
            server_cpu_s=report.cpu_s,
            waited=waited,
            connect_ms=connect_ms,
            connect_cpu_s=connect_cpu_s,
            connect_s=connect_s,
        )

    async def _connect(self) -> float:
        began = time.monotonic()
        ear = Ear(self._window)
        line = self._make(self._url, ear, self._job.chunk_ms)
        await line.connect()
        self._ears.append(ear)
        self._lines.append(line)
        return (time.monotonic() - began) * 1000


def _fraction(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _give_back() -> None:
    """Give free memory back to the system, where the C library can: else calls live in what the imports have left."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def waited_s() -> float:
    """Seconds for which this process was ready to run and did not (Linux only; else 0)."""
    path = Path("/proc/self/schedstat")
    return int(path.read_text(encoding="ascii").split()[1]) / 1e9 if path.exists() else 0.0


def rss_kb() -> float:
    """Resident memory; where there is no /proc, the most that it ever was, which is as good while calls are added."""
    if not Path("/proc/self/statm").exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _RSS_UNITS_PER_KB
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


async def _main(job: Job) -> Outcome:
    control = Control()
    await ws_connect(lambda: control, f"ws://127.0.0.1:{job.port}/control")
    return await _Run(job, control).outcome()


def main(arguments: Sequence[str]) -> None:
    """The command line."""
    job = msgspec.json.decode(arguments[0], type=Job)
    if job.core is not None:
        os.sched_setaffinity(0, {job.core})
    outcome = uvloop.run(_main(job))
    sys.stdout.write(msgspec.json.encode(outcome).decode() + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
