"""How often, how many, how long and for how much."""

from __future__ import annotations

import gc
import sqlite3

import pytest

from tests.gateway.auth.conftest import Doors, bearer
from voxengine.clock import Clock
from voxengine.gateway.auth import Budget, Gatekeeper, Lease
from voxengine.gateway.grants import Grant
from voxengine.gateway.refusal import Refused
from voxengine.testing import advance
from voxengine.testing.clock import EPOCH

DAY = 86_400.0


def admit(keeper: Gatekeeper, key: str) -> Grant:
    return keeper.admit(bearer(key), address="203.0.113.7")


def refused(keeper: Gatekeeper, key: str) -> Refused:
    with pytest.raises(Refused) as caught:
        begin(keeper, key)
    return caught.value


def begin(keeper: Gatekeeper, key: str) -> Lease:
    return keeper.begin(admit(keeper, key))


async def test_calls_at_the_same_time(doors: Doors) -> None:
    key, other = doors.key(concurrency=2), doors.key(concurrency=2)
    keeper = doors.keeper()
    first, second = begin(keeper, key), begin(keeper, key)

    refusal = refused(keeper, key)
    assert refusal.status == 429
    assert refusal.headers["x-ratelimit-limit-concurrent-calls"] == "2"
    assert refusal.headers["x-ratelimit-remaining-concurrent-calls"] == "0"
    assert refusal.headers["retry-after"] == "5"
    third = begin(keeper, other)

    first.end()
    first.end(0.5)  # twice gives back one place, not two
    fourth = begin(keeper, key)
    assert refused(keeper, key).status == 429
    for lease in (second, third, fourth):
        lease.end()
    assert keeper.limit_headers(admit(keeper, key))["x-ratelimit-remaining-concurrent-calls"] == "2"


async def test_a_call_that_is_lost_gives_its_place_back(doors: Doors) -> None:
    key = doors.key(concurrency=1)
    keeper = doors.keeper()

    lease = begin(keeper, key)
    assert refused(keeper, key).status == 429
    del lease
    gc.collect()
    begin(keeper, key).end()


async def test_new_calls_in_a_minute(doors: Doors) -> None:
    key = doors.key(calls_per_minute=6)
    keeper = doors.keeper()
    for _ in range(6):
        begin(keeper, key).end()

    refusal = refused(keeper, key)
    assert (refusal.status, refusal.code) == (429, "rate_limit_exceeded")
    assert refusal.body["error"]["type"] == "requests"
    assert refusal.headers["retry-after"] == "10"
    assert refusal.headers["x-ratelimit-limit-calls"] == "6"
    assert refusal.headers["x-ratelimit-remaining-calls"] == "0"
    assert refusal.headers["x-ratelimit-reset-calls"] == "60.000s"

    await advance(9.9)
    assert refused(keeper, key).status == 429
    await advance(0.2)
    begin(keeper, key).end()
    assert refused(keeper, key).status == 429


async def test_requests_in_a_minute_count_what_is_let_in(doors: Doors) -> None:
    key = doors.key(requests_per_minute=3)
    keeper = doors.keeper()
    grants = [admit(keeper, key) for _ in range(3)]

    assert keeper.limit_headers(grants[0])["x-ratelimit-remaining-requests"] == "0"
    with pytest.raises(Refused) as caught:
        admit(keeper, key)
    assert caught.value.status == 429
    await advance(20)
    admit(keeper, key)


async def test_a_call_gets_what_is_left_and_is_told_when_that_is_used_up(doors: Doors) -> None:
    key = doors.key(budget={"usd": 1.0, "per": "day"}, max_cost=0.75, max_duration=600)
    keeper = doors.keeper()
    grant = admit(keeper, key)
    assert (grant.max_cost, grant.max_duration) == (0.75, 600)

    lease = keeper.begin(grant)
    assert lease.spend(0.25)
    assert lease.spend(0.25)  # the same total again is no more money
    assert lease.spend(0.5)
    assert lease.spend(0.1)  # nothing is given back
    assert admit(keeper, key).max_cost == 0.5
    other = begin(keeper, key)
    assert not other.spend(0.5)
    assert not lease.spend(0.5)
    lease.end(0.5)
    other.end(0.6)

    refusal = refused(keeper, key)
    assert (refusal.status, refusal.code) == (429, "insufficient_quota")
    assert refusal.body["error"]["type"] == "insufficient_quota"
    tomorrow = DAY - (EPOCH % DAY)
    assert int(refusal.headers["retry-after"]) == pytest.approx(tomorrow - Clock().now(), abs=1)

    await advance(tomorrow)
    assert admit(keeper, key).max_cost == 0.75
    begin(keeper, key).end()


async def test_a_budget_of_the_month_begins_anew_with_the_month(doors: Doors) -> None:
    key = doors.key(budget={"usd": 2.0, "per": "month"})
    ever = doors.key(budget={"usd": 2.0, "per": "ever"})
    # The clock begins on 15 June; July is in 15.4 days. A run of the virtual clock is shorter than that.
    june, july = Shifted(14), Shifted(16)
    keeper = doors.keeper(kept=True, clock=june)
    for one in (key, ever):
        begin(keeper, one).end(2.0)
        assert refused(keeper, one).code == "insufficient_quota"
    # From 29 June, 15:06:40, to the end of the 30th.
    retry_after = int(refused(keeper, key).headers["retry-after"])
    assert retry_after == pytest.approx(DAY + 8 * 3600 + 53 * 60 + 20, abs=1)

    later = doors.keeper(kept=True, clock=july)
    assert admit(later, key).max_cost == 2.0
    refusal = refused(later, ever)
    assert refusal.code == "insufficient_quota"
    assert "retry-after" not in refusal.headers


class Shifted(Clock):
    """The running loop's clock, some days later."""

    def __init__(self, days: float) -> None:
        super().__init__()
        self.epoch += days * DAY


async def test_what_was_spent_outlives_the_process_and_is_counted_by_all(doors: Doors) -> None:
    key = doors.key(budget={"usd": 3.0})
    one, two = doors.keeper(kept=True), doors.keeper(kept=True)
    first = begin(one, key)
    first.spend(1.0)
    second = begin(two, key)
    second.spend(0.5)
    assert admit(one, key).max_cost == admit(two, key).max_cost == 1.5

    # Not closed: what was spent is there after a process that was killed.
    three = doors.keeper(kept=True)
    assert admit(three, key).max_cost == 1.5
    assert not begin(three, key).spend(1.5)
    assert not first.spend(1.0)


async def test_a_ledger_that_is_locked_cuts_no_call_off_and_loses_no_cost(doors: Doors) -> None:
    key = doors.key(budget={"usd": 3.0})
    keeper = doors.keeper(kept=True)
    lease = begin(keeper, key)

    held = sqlite3.connect(doors.state / "access.db", isolation_level=None)
    held.execute("BEGIN IMMEDIATE")
    assert lease.spend(1.0)
    assert admit(keeper, key).max_cost == 2.0
    held.execute("ROLLBACK")
    held.close()
    lease.end(1.25)

    assert admit(doors.keeper(kept=True), key).max_cost == 1.75


async def test_limits_that_change_count_from_then_on(doors: Doors) -> None:
    key = doors.key(concurrency=1)
    keeper = doors.keeper()
    lease = begin(keeper, key)
    assert refused(keeper, key).status == 429

    doors.change(key, concurrency=2, budget=Budget(5.0))
    keeper.reload()
    second = begin(keeper, key)
    assert admit(keeper, key).max_cost == 5.0
    lease.end()
    second.end()
