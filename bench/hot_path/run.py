"""Starts the server, and the sides one after the other, each in a fresh process; round after round."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from bench.hot_path.figures import Key, Round, growth, heap_kb_per_call, row
from bench.hot_path.messages import TURN_S
from bench.hot_path.records import Job, Outcome

__all__ = ["cores", "load_server", "measure"]

#: Chunks: 20 ms is every frame at once, 100 ms is five frames in one message.
_LATENCY, _DENSITY = 20, 100
_SIDES = ("floor", "voxengine", "websockets")


class _Plan(msgspec.Struct, frozen=True):
    rounds: int
    calls: tuple[int, ...]
    density_calls: tuple[int, ...]
    fast_calls: tuple[int, ...]
    seconds: float
    settle: float

    def jobs(self) -> dict[Key, tuple[int, ...]]:
        """Who is measured in a round, with how many calls."""
        jobs: dict[Key, tuple[int, ...]] = {(side, _LATENCY): self.calls for side in _SIDES}
        jobs["timers", _LATENCY] = self.calls
        if self.fast_calls:
            jobs["voxengine_fast", _LATENCY] = self.fast_calls
        if self.density_calls:
            jobs.update({(side, _DENSITY): self.density_calls for side in _SIDES})
        return jobs


#: Before a window opens, the first turns of the calls that were added have begun and been cut to their places.
_FULL = _Plan(3, (1, 10, 25, 100), (25, 100), (25,), TURN_S, 1.5)
_QUICK = _Plan(1, (10, 25), (), (), 1.5, 0.6)
#: Calls, and seconds after which memory is read.
_HEAP_CALLS, _HEAP_S = 25, 3.0


def measure(quick: bool) -> dict[str, Any]:
    """The rows, and what it costs to grow; about ten minutes."""
    plan = _QUICK if quick else _FULL
    client_core, server_core = cores()
    jobs = plan.jobs()
    rounds: list[Round] = []
    with load_server(server_core) as port:
        for number in range(plan.rounds):
            # To and fro: a machine that gets slower all the time favours no side.
            order = list(jobs) if number % 2 == 0 else list(reversed(jobs))
            outcomes = {}
            for side, chunk_ms in order:
                job = Job(
                    side=side,
                    port=port,
                    chunk_ms=chunk_ms,
                    calls=list(jobs[side, chunk_ms]),
                    # The timers alone vary little.
                    seconds=plan.seconds if side != "timers" else plan.seconds / 2,
                    settle=plan.settle if side != "timers" else plan.settle / 2,
                    core=client_core,
                )
                outcomes[side, chunk_ms] = _client(job)
            rounds.append(outcomes)
        heap = {} if quick else {side: _client(_heap_job(side, port)) for side in _SIDES}
    rows = [row(rounds, "voxengine", _LATENCY, calls) for calls in plan.calls]
    rows += [row(rounds, "voxengine", _DENSITY, calls) for calls in plan.density_calls]
    rows += [row(rounds, "voxengine_fast", _LATENCY, calls) for calls in plan.fast_calls]
    low = min(calls for calls in plan.calls if calls >= 10)
    return {
        "hot_path": rows,
        "hot_path_growth": {
            "from_calls": low,
            "to_calls": max(plan.calls),
            **{side: growth(rounds, side, _LATENCY, low, max(plan.calls)) for side in _SIDES},
        },
        "hot_path_heap_kb_per_call": {
            side: heap_kb_per_call(outcome, heap["floor"]) for side, outcome in heap.items()
        },
    }


def _heap_job(side: str, port: int) -> Job:
    return Job(
        side=side,
        port=port,
        chunk_ms=_LATENCY,
        calls=[_HEAP_CALLS],
        seconds=0.1,
        settle=_HEAP_S,
        traced=True,
    )


def cores() -> tuple[int | None, int | None]:
    """One for the clients and one for the server, where there are two."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else (None, None)


@contextmanager
def load_server(core: int | None) -> Iterator[int]:
    """The server in a process of its own; its port."""
    command = [sys.executable, "-m", "bench.hot_path.server"]
    if core is not None:
        command.append(str(core))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        # Its input ends with the block, and so does it.


def _client(job: Job) -> Outcome:
    command = [sys.executable, "-m", "bench.hot_path.client", msgspec.json.encode(job).decode()]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=120)
    return msgspec.json.decode(done.stdout, type=Outcome)
