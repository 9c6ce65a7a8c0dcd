"""How far a call may go: the policy alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxengine.session.limits import Limit, Limits, Step


def actions(steps: list[Step]) -> list[tuple[str, float]]:
    return [(step.action, step.fraction) for step in steps]


def test_no_limit_no_step() -> None:
    limits = Limits()
    assert not limits.limited("cost")
    assert not limits.limited("duration")
    assert limits.used("cost", 1e9) == limits.used("duration", 1e9) == []
    assert limits.next_at("cost") is limits.next_at("duration") is None


def test_warned_then_changed_then_ended() -> None:
    limits = Limits(max_cost=2.0, warn_at=(0.5, 0.8), economy=True)
    assert limits.used("cost", 0.99) == []
    assert limits.used("cost", 1.0) == [Step("cost", "warn", 0.5, 1.0, 2.0)]
    assert actions(limits.used("cost", 1.7)) == [("warn", 0.8)]
    assert actions(limits.used("cost", 1.85)) == [("switch", 0.9)]
    assert limits.limited("cost")
    assert actions(limits.used("cost", 2.0)) == [("end", 1.0)]
    assert not limits.limited("cost")


def test_each_step_is_taken_once() -> None:
    limits = Limits(max_cost=1.0, economy=True)
    for used in (0.8, 0.9, 1.0):
        assert limits.used("cost", used)
        assert limits.used("cost", used) == []
        assert limits.used("cost", 0.1) == []


def test_several_are_passed_in_one_go() -> None:
    limits = Limits(max_cost=1.0, warn_at=(0.3, 0.8, 0.95), economy=True)
    assert actions(limits.used("cost", 0.97)) == [
        ("warn", 0.3),
        ("warn", 0.8),
        ("switch", 0.9),
        ("warn", 0.95),
    ]


def test_past_the_end_there_is_nothing_to_change_to() -> None:
    limits = Limits(max_cost=1.0, economy=True)
    assert actions(limits.used("cost", 3.0)) == [("warn", 0.8), ("end", 1.0)]


def test_a_cheaper_provider_saves_no_time() -> None:
    limits = Limits(max_duration=100.0, economy=True)
    assert limits.next_at("duration") == 80.0
    assert actions(limits.used("duration", 80.0)) == [("warn", 0.8)]
    assert limits.next_at("duration") == 100.0
    assert actions(limits.used("duration", 100.0)) == [("end", 1.0)]
    assert limits.next_at("duration") is None


@pytest.mark.parametrize("first", ["cost", "duration"])
def test_the_end_comes_once_whichever_limit_is_first(first: Limit) -> None:
    limits = Limits(max_cost=1.0, max_duration=60.0, warn_at=())
    second: Limit = "duration" if first == "cost" else "cost"
    assert actions(limits.used(first, 1000.0)) == [("end", 1.0)]
    assert limits.used(second, 1000.0) == []
    assert limits.next_at("duration") is None


@given(
    reports=st.lists(st.floats(0, 0.4), max_size=40),
    warn_at=st.lists(st.floats(0.01, 0.99), max_size=4),
    economy=st.booleans(),
)
def test_whatever_is_reported_the_steps_are_in_order_and_none_is_early(reports, warn_at, economy):
    limits = Limits(max_cost=1.0, warn_at=warn_at, economy=economy)
    taken: list[Step] = []
    used = 0.0
    for report in reports:
        used += report
        steps = limits.used("cost", used)
        assert all(step.used == used >= step.fraction for step in steps)
        taken += steps
    fractions = [step.fraction for step in taken]
    assert fractions == sorted(fractions)
    ends = [step for step in taken if step.action == "end"]
    assert len(ends) == (used >= 1.0)
    assert [s.fraction for s in taken if s.action == "warn"] == [
        part for part in sorted(warn_at) if used >= part
    ]
    assert sum(step.action == "switch" for step in taken) <= economy
