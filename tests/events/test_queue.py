"""The policy of the bounded queue, by example and as a property."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxengine.errors import SlowConsumerError
from voxengine.events import AudioDropped, AudioOutputChunk, EventQueue, ProviderEvent, TextOutput
from voxengine.events.queue import HARD_FACTOR


def chunk(n: int, ms: int = 100, rate: int = 24000, encoding: str = "pcm16") -> AudioOutputChunk:
    width = 2 if encoding == "pcm16" else 1
    data = bytes(ms * rate // 1000 * width)
    return AudioOutputChunk(
        audio_data=data, sample_rate=rate, encoding=encoding, item_id=str(n), timestamp=float(n)
    )


def drain(queue: EventQueue) -> list[ProviderEvent]:
    got = []
    while len(queue):
        got.append(queue.get_nowait())
    return got


def test_below_the_bound_all_is_kept_in_order() -> None:
    queue = EventQueue(3)
    events = [chunk(1), TextOutput(text="a"), chunk(2)]
    for event in events:
        queue.put(event)
    assert drain(queue) == events


def test_at_the_bound_the_oldest_audio_goes_and_its_milliseconds_are_told() -> None:
    queue = EventQueue(2)
    queue.put(chunk(1, 20))
    queue.put(chunk(2, 30, rate=8000))
    queue.put(chunk(3, 40, rate=8000, encoding="g711_ulaw"))
    queue.put(chunk(4, 50, rate=16000))
    first, *rest = drain(queue)
    assert isinstance(first, AudioDropped)
    assert first.chunks == 2
    assert first.audio_ms == pytest.approx(50)
    assert first.direction == "output"
    assert first.reason == "slow consumer"
    assert first.timestamp == 3.0
    assert [e.item_id for e in rest if isinstance(e, AudioOutputChunk)] == ["3", "4"]


def test_drops_are_reported_again_after_a_report() -> None:
    queue = EventQueue(1)
    queue.put(chunk(1))
    queue.put(chunk(2))
    assert isinstance(queue.get_nowait(), AudioDropped)
    queue.put(chunk(3))
    report = queue.get_nowait()
    assert isinstance(report, AudioDropped)
    assert (report.chunks, report.audio_ms) == (1, 100)
    assert drain(queue) == [chunk(3)]


def test_control_events_push_audio_out_but_are_never_dropped() -> None:
    queue = EventQueue(2)
    queue.put(chunk(1))
    for i in range(5):
        queue.put(TextOutput(text=str(i)))
    report, *rest = drain(queue)
    assert isinstance(report, AudioDropped)
    assert [e.text for e in rest if isinstance(e, TextOutput)] == list("01234")


async def test_the_hard_bound_is_an_error_after_what_is_queued() -> None:
    queue = EventQueue(1)
    for i in range(HARD_FACTOR + 3):
        queue.put(TextOutput(text=str(i)))
    assert queue.closed
    got = []
    for _ in range(HARD_FACTOR):
        event = await queue.get()
        assert isinstance(event, TextOutput)
        got.append(event.text)
    assert got == [str(i) for i in range(HARD_FACTOR)]
    for _ in range(2):
        with pytest.raises(SlowConsumerError):
            await queue.get()


def test_a_queue_holds_at_least_one_event() -> None:
    with pytest.raises(ValueError, match="at least one"):
        EventQueue(0)


async def test_close_wakes_the_one_who_waits() -> None:
    queue = EventQueue()
    task = asyncio.ensure_future(queue.get())
    await asyncio.sleep(1)
    queue.close()
    # A coroutine cannot raise StopIteration, but it can raise its async sister.
    with pytest.raises(StopAsyncIteration):
        await task


#: True is a chunk of audio, False a control event, None takes one event out.
STEPS = st.lists(st.sampled_from([True, True, False, None]), max_size=120)


@given(steps=STEPS, size=st.integers(1, 6))
def test_policy(steps: list[bool | None], size: int) -> None:
    """Whatever comes and goes: the order stays, control events stay, and all audio is accounted for."""
    queue = EventQueue(size)
    sent: list[ProviderEvent] = []
    got: list[ProviderEvent] = []
    for n, step in enumerate(steps):
        if step is None:
            if len(queue):
                got.append(queue.get_nowait())
            continue
        event: ProviderEvent = chunk(n, 10) if step else TextOutput(text=str(n))
        if not queue.closed:
            # What meets the hard bound closes the queue, and is the first that is lost.
            queue.put(event)
            if not queue.closed:
                sent.append(event)
        assert len(queue) <= size * HARD_FACTOR
        audio = sum(isinstance(e, AudioOutputChunk) for e in queue._items)
        # Beyond the bound there are only control events, and the newest chunk.
        assert len(queue) <= size or audio <= 1
        assert audio == queue._chunks
    got += drain(queue)

    reports = [e for e in got if isinstance(e, AudioDropped)]
    delivered = [e for e in got if not isinstance(e, AudioDropped)]
    assert all(r.chunks > 0 for r in reports)
    assert [e for e in sent if isinstance(e, TextOutput)] == [
        e for e in delivered if isinstance(e, TextOutput)
    ]
    lost = [e for e in sent if e not in delivered]
    assert all(isinstance(e, AudioOutputChunk) for e in lost)
    assert sum(r.chunks for r in reports) == len(lost)
    assert sum(r.audio_ms for r in reports) == pytest.approx(10 * len(lost))
    assert [e for e in sent if e in delivered] == delivered
