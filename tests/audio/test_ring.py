from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxengine.audio import AudioFormat, AudioRing
from voxengine.errors import AudioError, ConfigurationError

#: A sample of this is a quarter of a millisecond.
FORMAT = AudioFormat("pcm16", 4000)


def audio(first: int, n: int) -> bytes:
    """n samples that count up from `first`."""
    return b"".join((i % 65536).to_bytes(2, "little") for i in range(first, first + n))


def test_positions_are_those_of_the_stream() -> None:
    ring = AudioRing(FORMAT, 10)
    assert ring.append(audio(0, 20)) == 0
    assert (ring.start_ms, ring.end_ms) == (0, 5)
    assert ring.since(2) == audio(8, 12)


def test_the_oldest_is_dropped_and_counted() -> None:
    ring = AudioRing(FORMAT, 10)
    ring.append(audio(0, 30))
    assert ring.append(audio(30, 20)) == 20
    assert (ring.start_ms, ring.end_ms, ring.dropped_ms) == (2.5, 12.5, 2.5)
    assert ring.since(0) == audio(10, 40)


def test_a_chunk_longer_than_the_ring_leaves_its_end() -> None:
    ring = AudioRing(FORMAT, 10)
    ring.append(audio(0, 3))
    assert ring.append(audio(3, 100)) == 126
    assert ring.since(0) == audio(63, 40)
    assert ring.start_ms == 63 / 4


def test_what_is_discarded_is_not_counted_as_lost() -> None:
    ring = AudioRing(FORMAT, 10)
    ring.append(audio(0, 40))
    ring.discard_before(5)
    assert ring.since(0) == audio(20, 20)
    assert ring.dropped_bytes == 0
    ring.discard_before(3)
    assert ring.start_ms == 5
    ring.discard_before(1000)
    assert (ring.start_ms, ring.end_ms, len(ring)) == (10, 10, 0)
    ring.append(audio(40, 4))
    assert ring.since(10) == audio(40, 4)
    ring.clear()
    assert ring.since(0) == b""
    assert ring.end_ms == 11


def test_later_than_the_end_there_is_nothing() -> None:
    ring = AudioRing(FORMAT, 10)
    ring.append(audio(0, 4))
    assert ring.since(1) == b""
    assert ring.since(99) == b""


def test_half_a_sample_and_no_room_are_refused() -> None:
    with pytest.raises(AudioError, match="whole number"):
        AudioRing(FORMAT, 10).append(b"\0")
    with pytest.raises(ConfigurationError, match="holds no audio"):
        AudioRing(FORMAT, 0)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(0, 60)),
            st.tuples(st.just("discard"), st.integers(-20, 300)),
        ),
        max_size=40,
    )
)
def test_holds_the_newest_of_an_unbounded_stream(steps: list[tuple[str, int]]) -> None:
    ring = AudioRing(FORMAT, 10)
    start = total = 0
    for what, n in steps:
        if what == "append":
            ring.append(audio(total, n))
            total += n
            start = max(start, total - 40)
        else:
            ring.discard_before(n / 4)
            start = max(start, min(n, total))
        assert (ring.start_ms, ring.end_ms) == (start / 4, total / 4)
        assert ring.since(0) == audio(start, total - start)
        assert len(ring) <= 80
