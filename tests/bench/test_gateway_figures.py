"""The gateway's figures: ratios within a round, noisy rounds left out, and where the loop is late."""

from __future__ import annotations

import msgspec
import pytest

from bench.gateway.figures import capacity, growth, row
from bench.gateway.records import Outcome, Step, Usage


def step(calls: int, cpu_ms: float, *, lag: float = 1.0, waited: float = 0.0) -> Step:
    usage = Usage(
        window_s=2.0,
        cpu_s=cpu_ms * calls * 2 / 1000,
        loop_cpu_s=cpu_ms * calls / 1000,
        loop_lag_p99_ms=lag,
        rss_kb=1000.0 + 100 * calls,
        waited=waited,
    )
    return Step(
        calls=calls,
        relay=usage,
        latency_p50_ms=cpu_ms,
        latency_p99_ms=2 * cpu_ms,
        append_late_p99_ms=cpu_ms,
        missed_deadlines=0,
        frames=10,
        client_lag_p99_ms=0.5,
        connect_ms=[3.0, 5.0],
    )


def outcome(*steps: Step, delivered: float = 1.0) -> Outcome:
    return Outcome(
        steps=list(steps), rss_before_kb=900.0, delivered=delivered, appended=1.0, others=[]
    )


def test_a_ratio_is_taken_within_a_round_and_noise_is_left_out():
    def a_round(raw: float, ours: float, waited: float = 0.0) -> dict[str, Outcome]:
        return {
            "raw": outcome(step(25, raw)),
            "voxengine": outcome(step(25, ours, waited=waited)),
            "websockets": outcome(step(25, 3 * raw)),
        }

    rounds = [a_round(2.0, 3.0), a_round(4.0, 6.4), a_round(2.0, 20.0, waited=0.5)]
    found = row(rounds, 25)
    assert found["rounds_used"] == 2
    assert found["ratio_to_floor"] == pytest.approx(1.55)
    assert found["ratio_spread"] == [1.5, 1.6]
    assert found["cpu_ms_per_call_s"] == pytest.approx(4.7)
    assert found["websockets_ratio_to_floor"] == pytest.approx(3.0)
    assert found["p99_added_ms"] == pytest.approx((2 * 1.0 + 2 * 2.4) / 2)
    assert found["connect_ms"] == 4.0
    assert len(found["rounds"]) == 3


def test_memory_of_a_further_call():
    grown = {"voxengine": outcome(step(25, 1.0), step(100, 1.0))}
    assert growth([grown], "voxengine", 25, 100) == 100.0


def test_the_most_calls_are_those_before_the_loop_is_late():
    climb = outcome(step(100, 1.0), step(120, 1.0, lag=19.0), step(140, 1.0, lag=30.0))
    found = capacity([climb, outcome(step(100, 1.0), step(120, 1.0, lag=25.0)), climb])
    assert found["max_calls_at_20ms_lag"] == 120
    assert found["limit_reached"]
    never = capacity([outcome(step(100, 1.0), step(120, 1.0, lag=5.0))])
    assert never["max_calls_at_20ms_lag"] == 120
    assert not never["limit_reached"]
    # Where the client is later than the gateway, it is the client that is at its limit.
    late = step(140, 1.0, lag=30.0)
    busy = msgspec.structs.replace(late, client_lag_p99_ms=50.0)
    assert not capacity([outcome(step(120, 1.0), busy)])["limit_reached"]
