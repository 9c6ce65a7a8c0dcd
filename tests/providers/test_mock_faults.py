"""Each fault strikes at its point, as often as it should, and does what it says."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from voxengine import events as ev
from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    RateLimitError,
)
from voxengine.providers.mock import MockConfig, MockProvider
from voxengine.testing import advance
from voxengine.testing.faults import (
    Drop,
    Duplicate,
    ErrorOnce,
    FaultPlan,
    Flap,
    Late,
    OutOfOrder,
    Refuse,
    Slow,
    Stall,
    parse_fault,
)

from .mock_helpers import Record, connected

LONG = "one two three four five six seven eight nine ten"


async def answered(faults: Any, seconds: float = 5, **settings: Any) -> tuple[MockProvider, Record]:
    """A mock with these faults that was asked for a long answer."""
    provider, record = await connected(faults=faults, mock_responses=[LONG], **settings)
    await provider.send_text("go")
    await advance(seconds)
    return provider, record


@pytest.mark.parametrize("k", [0, 1, 3])
async def test_drop_after_chunks(k):
    provider, record = await answered(Drop(after_chunks=k, reason="cut"))
    assert len(record.of(ev.AudioOutputChunk)) == k
    assert record.types[-2:] == ["response_error", "connection_lost"]
    (lost,) = record.of(ev.ConnectionLost)
    assert (lost.close_code, lost.reason, lost.retryable) == (1006, "cut", True)
    assert not provider.is_connected
    with pytest.raises(ConnectionError):
        await provider.send_text("still there?")
    await provider.disconnect()


async def test_drop_at_a_time():
    provider, record = await connected(faults="drop:after_s=12.5,close_code=1011")
    await advance(20)
    assert record.at(ev.ConnectionLost) == [12.5]
    assert record.of(ev.ConnectionLost)[0].close_code == 1011
    await provider.disconnect()


async def test_drop_in_a_later_response():
    provider, record = await connected(faults=Drop(response=2), mock_responses=["Hi"])
    await provider.send_text("one")
    await advance(1)
    assert record.types[-1] == "response_completed"
    await provider.send_text("two")
    await advance(1)
    assert record.types[-1] == "connection_lost"
    await provider.disconnect()


async def test_stall_delays_what_is_due():
    provider, record = await answered(Stall(2.0, after_chunks=2))
    times = record.at(ev.AudioOutputChunk)
    assert times[:2] == pytest.approx([0.0, 0.025])
    assert set(times[2:]) == {2.025}
    assert record.types[-1] == "response_completed"
    assert [e.timestamp for e in record.events] == sorted(e.timestamp for e in record.events)
    await provider.disconnect()


async def test_stall_for_ever():
    provider, record = await answered("stall:forever,after_chunks=2", 600)
    assert len(record.of(ev.AudioOutputChunk)) == 2
    assert provider.is_connected
    await provider.disconnect()
    assert record.types[-2:] == ["response_cancelled", "connection_closed"]


async def test_slow():
    provider, record = await answered(Slow(4.0, after_chunks=1))
    times = record.at(ev.AudioOutputChunk)
    assert times[:3] == pytest.approx([0.0, 0.1, 0.2])
    await provider.disconnect()


async def test_error_once_in_a_response_and_alone():
    provider, record = await answered(
        [ErrorOnce("overloaded", after_chunks=1), ErrorOnce("notice", after_s=3)]
    )
    (failed,), (alone,) = record.of(ev.ResponseError), record.of(ev.ErrorGeneral)
    assert (failed.code, alone.code, alone.recoverable) == ("overloaded", "notice", True)
    assert record.at(ev.ErrorGeneral) == [3.0]
    await provider.send_text("again")
    await advance(5)
    assert record.types[-1] == "response_completed"
    await provider.disconnect()


async def test_two_faults_at_one_point():
    provider, record = await answered(
        [Drop(after_chunks=1), Stall(after_chunks=1), ErrorOnce(after_chunks=1)]
    )
    assert record.types[-1] == "connection_lost"
    await provider.disconnect()


async def test_flap():
    plan = FaultPlan([Flap(2)])
    for attempt in (1, 2, 3):
        provider = MockProvider(MockConfig(faults=plan))
        record = Record(provider)
        await provider.connect()
        assert record.types[1] == "connection_established"
        assert bool(provider.is_connected) == (attempt == 3)
        await provider.disconnect()


@pytest.mark.parametrize(
    ("code", "kind", "retryable"),
    [
        ("refused", ConnectionError, True),
        ("timeout", ConnectionError, True),
        ("auth", AuthenticationError, False),
        ("rate_limit", RateLimitError, True),
        ("quota", RateLimitError, False),
    ],
)
async def test_refuse(code, kind, retryable):
    provider = MockProvider(MockConfig(faults=f"refuse:{code},retry_after=7"))
    record = Record(provider)
    with pytest.raises(kind) as refused:
        await provider.connect()
    assert (refused.value.code, refused.value.retryable, refused.value.provider) == (
        code,
        retryable,
        "mock",
    )
    if kind is RateLimitError:
        assert refused.value.retry_after == 7
    (failed,) = record.of(ev.ConnectionFailed)
    assert (failed.code, failed.retryable) == (code, retryable)
    assert provider.state == "error"
    # The fault struck once; the next attempt gets through.
    assert await provider.connect()
    await provider.disconnect()


async def test_late():
    provider, record = await answered(
        Late("response_completed", 10.0), 20, realtime_factor=math.inf
    )
    assert record.at(ev.ResponseCompleted) == [10.0]
    await provider.disconnect()


async def test_an_event_after_the_end_does_not_come():
    provider, record = await answered(Late("text_chunk", 1.0, times=0), 0.5)
    await provider.disconnect()
    told = len(record.events)
    await advance(5)
    assert len(record.events) == told


async def test_duplicate():
    provider, record = await answered(
        [Duplicate("response_completed"), Duplicate("audio_chunk", times=0)]
    )
    first, second = record.of(ev.ResponseCompleted)
    assert first.event_id == second.event_id is not None
    chunks = record.of(ev.AudioOutputChunk)
    assert [c.event_id for c in chunks[::2]] == [c.event_id for c in chunks[1::2]]
    assert len({c.event_id for c in chunks}) == len(chunks) / 2
    await provider.disconnect()


async def test_audio_has_no_id_without_need():
    provider, record = await answered(None)
    assert {c.event_id for c in record.of(ev.AudioOutputChunk)} == {None}
    assert None not in {e.event_id for e in record.of(ev.TextOutput)}
    await provider.disconnect()


async def test_out_of_order():
    provider, record = await answered(OutOfOrder("response_started", behind=3))
    assert record.types[:4] == ["raw", "timing_stage", "text_chunk", "response_started"]
    await provider.disconnect()


async def test_what_nothing_overtakes_comes_all_the_same():
    provider, record = await answered(
        OutOfOrder("response_completed"), 20, realtime_factor=math.inf
    )
    assert record.at(ev.ResponseCompleted) == [1.0]
    await provider.disconnect()


def test_the_three_ways_of_writing():
    drop = Drop(after_chunks=3, close_code=1011)
    assert parse_fault(drop) is drop
    assert parse_fault({"fault": "drop", "after_chunks": 3, "close_code": 1011}) == drop
    assert parse_fault(" drop : after_chunks=3, close_code=1011") == drop
    assert parse_fault("refuse:rate_limit") == Refuse("rate_limit")
    assert parse_fault("late:transcript_completed,0.5") == Late("transcript_completed", 0.5)
    assert parse_fault("stall:forever,response=2") == Stall(math.inf, response=2)
    assert parse_fault("flap:times=0") == Flap(0)


@pytest.mark.parametrize(
    "fault", ["", "quake", "drop:after=3", "drop:after_chunks=some", "late", 5, "flap:1,2,3"]
)
def test_what_is_no_fault_is_refused(fault):
    with pytest.raises(ConfigurationError):
        parse_fault(fault)


def test_faults_of_a_configuration_in_metadata():
    provider = MockProvider({"metadata": {"faults": ["drop:after_chunks=3", "slow:2"]}})
    assert provider.faults.faults == (Drop(after_chunks=3), Slow(2.0))


async def test_a_plan_counts_over_all_its_connections():
    plan = FaultPlan([Drop(connect=2, after_s=1.0)])
    for attempt in (1, 2, 3):
        provider = MockProvider(MockConfig(faults=plan))
        await provider.connect()
        await advance(2)
        assert bool(provider.is_connected) == (attempt != 2)
        await provider.disconnect()
    assert plan.connects == 3
    assert asyncio.get_running_loop().time() == 6.0
