"""What is waited for, and what a failure is called."""

from __future__ import annotations

import asyncio

import pytest

from voxengine.errors import (
    AuthenticationError,
    ConnectionError,
    MessageError,
    ProviderError,
    RateLimitError,
)
from voxengine.net import Closed
from voxengine.providers.failures import code_of_close
from voxengine.providers.openai.failures import code_of, error_of, is_retryable
from voxengine.providers.openai.messages import Failure
from voxengine.providers.openai.waits import Waits

# -- waits


async def test_changes_are_confirmed_in_their_order():
    waits = Waits()
    (one, first), (two, second) = waits.update(), waits.update()
    assert one != two
    waits.confirmed()
    assert (first.done(), second.done()) == (True, False)
    waits.confirmed()
    assert second.done()
    waits.confirmed()  # one that we did not ask for


async def test_a_refusal_finds_its_change():
    waits = Waits()
    (_, first), (two, second) = waits.update(), waits.update()
    assert not waits.refused("create", ProviderError("no"))
    assert not waits.refused(None, ProviderError("no"))
    assert waits.refused(two, ProviderError("no"))
    assert not waits.refused(two, ProviderError("again"))
    with pytest.raises(ProviderError, match="no"):
        await second
    waits.confirmed()
    assert first.done()


async def test_a_change_that_somebody_stopped_waiting_for_still_takes_its_turn():
    waits = Waits()
    (_, first), (_, second) = waits.update(), waits.update()
    first.cancel()
    waits.confirmed()
    assert not second.done()
    waits.confirmed()
    assert second.done()


async def test_a_change_that_is_given_up_takes_none():
    waits = Waits()
    (one, _), (_, second) = waits.update(), waits.update()
    waits.forget(one)
    waits.forget(one)
    waits.confirmed()
    assert second.done()


async def test_the_end_is_told_to_all_who_wait():
    waits = Waits()
    greeting, (_, change) = waits.greeting(), waits.update()
    waits.fail(ConnectionError("gone"))
    waits.fail(ConnectionError("again"))
    waits.greeted()
    waits.confirmed()
    for future in (greeting, change):
        with pytest.raises(ConnectionError, match="gone"):
            await future


async def test_an_end_that_nobody_waits_for_is_no_complaint():
    Waits().fail(ConnectionError("gone"))
    waits = Waits()
    greeting, (_, change) = waits.greeting(), waits.update()
    waits.fail(ConnectionError("gone"))
    assert greeting.done()
    assert change.done()
    await asyncio.sleep(0)


async def test_there_may_be_a_second_greeting():
    waits = Waits()
    first = waits.greeting()
    waits.greeted()
    waits.greeted()
    second = waits.greeting()
    assert (first.done(), second.done()) == (True, False)
    waits.greeted()
    assert second.done()


# -- failures


@pytest.mark.parametrize(
    ("failure", "code", "kind", "retryable"),
    [
        (Failure(code="rate_limit_exceeded", type="x"), "rate_limit", RateLimitError, True),
        (Failure(type="insufficient_quota"), "quota", RateLimitError, False),
        (
            Failure(code="invalid_api_key", type="invalid_request_error"),
            "auth",
            AuthenticationError,
            False,
        ),
        (Failure(code="session_expired"), "session_expired", ConnectionError, True),
        (Failure(type="server_error", code="odd"), "server", ProviderError, True),
        (
            Failure(type="invalid_request_error", code="invalid_value"),
            "invalid_value",
            MessageError,
            False,
        ),
        (Failure(code=4290), "4290", ProviderError, False),
        (Failure(), "error", ProviderError, False),
    ],
)
def test_refusals_as_errors(
    failure: Failure, code: str, kind: type[ProviderError], retryable: bool
):
    assert code_of(failure) == code
    error = error_of(failure, "openai")
    assert (type(error), error.code, error.provider) == (kind, code, "openai")
    assert error.retryable == retryable
    if kind is not MessageError:
        assert is_retryable(code) == retryable


@pytest.mark.parametrize(
    ("closed", "told", "expected"),
    [
        (Closed(1000, "", False, "closed"), None, ("closed", True)),
        (Closed(None, "reset", False, "aborted"), None, ("closed", True)),
        (Closed(None, "", True, "dead_peer"), None, ("dead_peer", True)),
        (Closed(1008, "policy", False, "closed"), None, ("closed", False)),
        (Closed(1011, "oops", False, "closed"), None, ("closed", True)),
        (Closed(1001, "", False, "closed"), "session_expired", ("session_expired", True)),
        (Closed(1000, "", False, "closed"), "quota", ("quota", False)),
        (Closed(1000, "", False, "closed"), "auth", ("auth", False)),
    ],
)
def test_what_the_end_of_a_connection_is_called(
    closed: Closed, told: str | None, expected: tuple[str, bool]
):
    assert code_of_close(closed, told=told) == expected
