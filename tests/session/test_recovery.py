"""When it is tried again, and when it is given up: exact, because time and chance come from outside."""

from __future__ import annotations

import pytest

from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    ProviderError,
    RateLimitError,
    VoiceEngineError,
)
from voxengine.session.recovery import (
    LASTING,
    QUICK_LOSSES,
    STABLE_AFTER,
    Attempt,
    GiveUp,
    Recovery,
    Step,
    code_of,
)

DOWN = ConnectionError("down", code="refused")


def recovery(budget: float = 10.0, jitter: float = 1.0) -> Recovery:
    policy = Recovery(budget, lambda: jitter)
    policy.connected(0.0)
    return policy


def lose(policy: Recovery, now: float, worked: bool = True, retryable: bool = True) -> Step:
    return policy.lost(now, worked, "closed", "cable cut", retryable)


def attempt(step: Step) -> Attempt:
    assert isinstance(step, Attempt), step
    return step


def test_the_first_attempt_is_made_at_once_and_the_pauses_grow() -> None:
    policy = recovery(budget=100)
    step = attempt(lose(policy, 60))
    assert (step.number, step.delay, step.code, step.reason) == (1, 0, "closed", "cable cut")
    now, delays = 60.0, []
    for n in range(2, 10):
        step = attempt(policy.failed(now, DOWN, was_open=False))
        assert (step.number, step.code) == (n, "refused")
        delays.append(step.delay)
        now += step.delay
    assert delays == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]


@pytest.mark.parametrize(("jitter", "delay"), [(0.0, 0.125), (0.5, 0.1875), (1.0, 0.25)])
def test_chance_takes_up_to_half_of_a_pause(jitter: float, delay: float) -> None:
    policy = recovery(jitter=jitter)
    assert attempt(lose(policy, 60)).delay == 0
    assert attempt(policy.failed(60, DOWN, was_open=False)).delay == delay


def test_all_attempts_share_one_budget() -> None:
    policy = recovery(budget=10)
    now = 60.0
    step = lose(policy, now)
    while isinstance(step, Attempt):
        assert step.deadline == 70
        now += step.delay + 0.5
        step = policy.failed(now, DOWN, was_open=False)
    assert step.code == "reconnect_timeout"
    assert "down" in step.reason
    assert 65 < now < 70


def test_the_budget_is_that_of_the_outages_of_a_series_together() -> None:
    policy = recovery(budget=10)
    assert attempt(lose(policy, 60)).deadline == 70
    assert policy.restored(64) == 4
    # It is up for a while, but does nothing: that does not refill the budget.
    assert attempt(lose(policy, 164, worked=False)).deadline == 170
    policy.restored(165)
    assert attempt(lose(policy, 165 + STABLE_AFTER)).deadline == 170 + 10


@pytest.mark.parametrize(
    ("up", "worked", "fresh"),
    [
        (STABLE_AFTER, True, True),
        (STABLE_AFTER - 0.1, True, False),
        (LASTING - 0.1, False, False),
        # Nobody had anything to say, and it was there all the same.
        (LASTING, False, True),
    ],
)
def test_a_handshake_is_no_success(up: float, worked: bool, fresh: bool) -> None:
    policy = recovery(budget=1000)
    attempt(lose(policy, 60))
    attempt(policy.failed(60, DOWN, was_open=False))
    policy.restored(61)
    delay = attempt(lose(policy, 61 + up, worked)).delay
    assert delay == (0 if fresh else 0.5)


def test_quick_losses_in_a_row_are_flapping() -> None:
    policy = recovery(budget=1000)
    now = 60.0
    step = lose(policy, now)
    for _ in range(QUICK_LOSSES):
        now += attempt(step).delay + 0.1
        policy.restored(now)
        step = lose(policy, now + 1)
    assert isinstance(step, GiveUp)
    assert step.code == "flapping"
    assert "cable cut" in step.reason


def test_so_are_connections_that_are_dropped_as_soon_as_they_are_open() -> None:
    policy = recovery(budget=1000)
    step = lose(policy, 60)
    for _ in range(QUICK_LOSSES):
        attempt(step)
        step = policy.failed(61, ConnectionError("dropped", code="closed"), was_open=True)
    assert isinstance(step, GiveUp)
    assert step.code == "flapping"


def test_refusals_are_not_flapping() -> None:
    policy = recovery(budget=1000)
    step = lose(policy, 60)
    for _ in range(3 * QUICK_LOSSES):
        attempt(step)
        step = policy.failed(61, DOWN, was_open=False)


def test_what_the_vendor_asks_for_is_waited() -> None:
    policy = recovery(budget=100)
    lose(policy, 60)
    slow = RateLimitError("slow down", retry_after=7.0)
    assert attempt(policy.failed(60, slow, was_open=False)).delay == 7
    hardly = RateLimitError("slow down", retry_after=0.01)
    assert attempt(policy.failed(67, hardly, was_open=False)).delay == 0.5
    unsaid = RateLimitError("slow down")
    assert attempt(policy.failed(68, unsaid, was_open=False)).delay == 1


def test_a_wait_beyond_the_budget_ends_it_now() -> None:
    policy = recovery(budget=10)
    lose(policy, 60)
    step = policy.failed(60, RateLimitError("slow down", retry_after=11.0), was_open=False)
    assert isinstance(step, GiveUp)
    assert step.code == "reconnect_timeout"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AuthenticationError("wrong key"), "auth"),
        (RateLimitError("no money", code="quota", retryable=False), "quota"),
        (ConfigurationError("no such model"), "configuration"),
        (ProviderError("no"), "provider_error"),
        (RuntimeError("a bug"), "runtime"),
    ],
)
def test_what_trying_again_does_not_cure_ends_it_at_once(error: Exception, code: str) -> None:
    policy = recovery()
    lose(policy, 60)
    step = policy.failed(60, error, was_open=False)
    assert isinstance(step, GiveUp)
    assert (step.code, step.reason) == (code, str(error))


def test_so_does_a_loss_that_the_provider_calls_final() -> None:
    step = lose(recovery(), 60, retryable=False)
    assert step == GiveUp("closed", "cable cut")


def test_codes_of_errors_without_one() -> None:
    assert code_of(VoiceEngineError("x")) == "voice_engine"
    assert code_of(TimeoutError()) == "timeout"
    assert code_of(FileNotFoundError("x")) == "file_not_found"
