"""Starts the server, and for each side a relay and its callers, in fresh processes; round after round."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from bench.gateway.figures import LAG_LIMIT_MS, Round, capacity, growth, row
from bench.gateway.records import Job, Outcome, Ports
from bench.gateway.sides import SIDES
from bench.hot_path.messages import TURN_S
from bench.hot_path.run import cores, load_server

__all__ = ["measure"]


class _Plan(msgspec.Struct, frozen=True):
    rounds: int
    calls: tuple[int, ...]
    seconds: float
    settle: float
    #: Steps of the search for the most calls, and how often it is made.
    climb: tuple[int, ...]
    climbs: int
    climb_seconds: float


_FULL = _Plan(3, (25, 100), TURN_S, 1.5, tuple(range(100, 501, 25)), 3, 3.0)
_QUICK = _Plan(1, (25,), 1.5, 0.6, (), 0, 0.0)


def measure(quick: bool) -> dict[str, Any]:
    """The rows, and how many calls one process carries; about seven minutes."""
    plan = _QUICK if quick else _FULL
    # The relay has one core for itself; its clients and its server share the other.
    relay_core, other_core = cores()
    rounds: list[Round] = []
    with load_server(other_core) as port:
        for number in range(plan.rounds):
            order = list(SIDES) if number % 2 == 0 else list(reversed(SIDES))
            rounds.append(
                {
                    side: _measured(
                        side, port, plan.calls, plan.seconds, plan, relay_core, other_core
                    )
                    for side in order
                }
            )
        climbs = [
            _measured(
                "voxengine",
                port,
                plan.climb,
                plan.climb_seconds,
                plan,
                relay_core,
                other_core,
                LAG_LIMIT_MS,
            )
            for _ in range(plan.climbs)
        ]
    figures: dict[str, Any] = {"gateway": [row(rounds, calls) for calls in plan.calls]}
    if len(plan.calls) > 1:
        low, high = min(plan.calls), max(plan.calls)
        figures["gateway_rss_kb_per_further_call"] = {
            side: growth(rounds, side, low, high) for side in SIDES
        }
    if climbs:
        figures["gateway_capacity"] = capacity(climbs)
    return figures


def _measured(
    side: str,
    server_port: int,
    calls: tuple[int, ...],
    seconds: float,
    plan: _Plan,
    relay_core: int | None,
    client_core: int | None,
    lag_limit_ms: float | None = None,
) -> Outcome:
    with _relay(side, server_port, relay_core) as ports:
        job = Job(
            relay=ports,
            server_port=server_port,
            calls=list(calls),
            seconds=seconds,
            settle=plan.settle,
            core=client_core,
            lag_limit_ms=lag_limit_ms,
        )
        command = [sys.executable, "-m", "bench.gateway.client", msgspec.json.encode(job).decode()]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=300)
    return msgspec.json.decode(done.stdout, type=Outcome)


@contextmanager
def _relay(side: str, server_port: int, core: int | None) -> Iterator[Ports]:
    command = [sys.executable, "-m", "bench.gateway.relay", side, str(server_port)]
    if core is not None:
        command.append(str(core))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield msgspec.json.decode(process.stdout.readline(), type=Ports)
        # Its input ends with the block, and so does it.
