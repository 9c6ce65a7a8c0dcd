"""The arithmetic from what was measured to what is written."""

from __future__ import annotations

import random
from statistics import quantiles

import pytest

from bench.hot_path.figures import Key, growth, heap_kb_per_call, percentile, row
from bench.hot_path.records import Outcome, Step


def step(
    calls: int,
    cpu_s: float,
    *,
    p99: float = 1.0,
    rss: float = 0.0,
    missed: int = 0,
    waited: float = 0.0,
) -> Step:
    return Step(
        calls=calls,
        window_s=2.0,
        cpu_s=cpu_s,
        latency_p50_ms=p99 / 2,
        latency_p99_ms=p99,
        append_late_p99_ms=1.0,
        missed_deadlines=missed,
        frames=100 * calls,
        loop_lag_p99_ms=1.0,
        rss_kb=rss,
        heap_kb=rss / 2,
        server_cpu_s=0.1,
        waited=waited,
        connect_ms=[1.0, 5.0, 2.0],
        connect_cpu_s=0.5,
        connect_s=1.0,
    )


def outcome(*steps: Step, delivered: float = 1.0) -> Outcome:
    return Outcome(
        steps=list(steps), delivered=delivered, appended=1.0, others=[], first_call_lag_ms=4.0
    )


def a_round(speed: float, ours: Outcome) -> dict[Key, Outcome]:
    """On a machine of this speed the floor takes 1 ms a second of a call, and 10 ms for the first of all."""

    def cpu(calls: int, each: float) -> float:
        return 2.0 * calls * each / 1000 * speed

    return {
        ("floor", 20): outcome(step(10, cpu(10, 1.0), rss=100), step(50, cpu(50, 1.0), rss=500)),
        ("websockets", 20): outcome(step(10, cpu(10, 3.0), rss=200), step(50, cpu(50, 3.0))),
        ("timers", 20): outcome(step(10, cpu(10, 0.5)), step(50, cpu(50, 0.5))),
        ("voxengine", 20): ours,
    }


def rounds() -> list[dict[Key, Outcome]]:
    """The machine is twice as slow in the second round, and something goes wrong in the third."""
    first = outcome(step(10, 0.024, p99=1.5, rss=900), step(50, 0.12, rss=4500, missed=1))
    second = outcome(step(10, 0.048, p99=1.5, rss=900), step(50, 0.24, rss=4500, missed=2))
    third = outcome(step(10, 0.2, p99=50.0, rss=9000), step(50, 1.0), delivered=0.5)
    return [a_round(1.0, first), a_round(2.0, second), a_round(1.0, third)]


def test_a_ratio_is_taken_within_a_round_and_then_the_median() -> None:
    figures = row(rounds(), "voxengine", 20, 10)
    assert figures["ratio_to_floor"] == pytest.approx(1.2)
    assert figures["ratio_spread"] == [1.2, 10.0]
    assert figures["websockets_ratio_to_floor"] == pytest.approx(3.0)
    assert figures["ratio_without_timers"] == pytest.approx(0.7 / 0.5)
    assert len(figures["rounds"]) == 3
    assert figures["rounds"][1]["floor"]["cpu_ms_per_call_s"] == pytest.approx(2.0)


def test_a_row_is_against_the_floor_of_the_same_rounds() -> None:
    figures = row(rounds(), "voxengine", 20, 10)
    assert figures["cpu_ms_per_call_s"] == pytest.approx(2.4)
    assert figures["floor_cpu_ms_per_call_s"] == pytest.approx(1.0)
    assert figures["p99_added_ms"] == pytest.approx(0.5)
    assert figures["rss_kb_per_call"] == pytest.approx((900 - 100) / 10)


def test_what_went_wrong_in_one_round_is_not_lost_in_the_median() -> None:
    assert row(rounds(), "voxengine", 20, 10)["delivered"] == 0.5
    assert row(rounds(), "voxengine", 20, 50)["missed_deadlines"] == 3


def test_a_round_in_which_others_had_the_core_is_left_out() -> None:
    calm = outcome(step(10, 0.024))
    starved = outcome(step(10, 0.010, p99=80.0, waited=0.3), delivered=0.9)
    figures = row([a_round(1.0, calm), a_round(1.0, starved)], "voxengine", 20, 10)
    assert figures["ratio_to_floor"] == pytest.approx(1.2)
    assert figures["p99_added_ms"] == pytest.approx(0.0)
    assert (figures["rounds_used"], figures["waited"]) == (1, [0.0, 0.3])
    # It is in the JSON all the same, and nothing may be lost even then.
    assert len(figures["rounds"]) == 2
    assert figures["delivered"] == 0.9


def test_without_a_calm_round_all_of_them_count() -> None:
    starved = [a_round(1.0, outcome(step(10, 0.02 * k, waited=0.3))) for k in (1, 2, 3)]
    figures = row(starved, "voxengine", 20, 10)
    assert figures["ratio_to_floor"] == pytest.approx(2.0)
    assert figures["rounds_used"] == 3


def test_growth_is_what_each_call_more_costs() -> None:
    figures = growth(rounds()[:2], "voxengine", 20, 10, 50)
    assert figures["cpu_ms_per_added_call_s"] == pytest.approx((1.2 + 2.4) / 2)
    assert figures["rss_kb_per_added_call"] == pytest.approx((4500 - 900) / 40)
    assert figures["connect_ms"] == 2.0
    # Of the CPU time while connecting, what the calls that were there already used is not theirs.
    running = (0.024 / 2 + 0.048 / 2) / 2
    assert figures["connect_cpu_ms"] == pytest.approx((0.5 - running) * 1000 / 3, rel=1e-3)


def test_the_heap_is_that_of_a_call_above_the_floors() -> None:
    ours, floor = outcome(step(25, 1.0, rss=5000)), outcome(step(25, 1.0, rss=1000))
    assert heap_kb_per_call(ours, floor) == pytest.approx(2000 / 25)


@pytest.mark.parametrize("percent", [50, 99])
def test_a_percentile_is_one_of_the_values(percent: int) -> None:
    values = [random.Random(n).random() for n in range(1000)]
    assert percentile(values, percent) in values
    assert percentile(values, percent) == pytest.approx(
        quantiles(values, n=100)[percent - 1], abs=0.01
    )


def test_percentiles_of_little() -> None:
    assert percentile([], 99) == 0.0
    assert percentile([7.0], 50) == percentile([7.0], 99) == 7.0
    assert percentile([1.0, 2.0, 3.0, 4.0], 50) == 2.0
