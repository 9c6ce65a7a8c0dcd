"""The queue of what waits for the socket, by itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voxengine.net.writes import WriteQueue

AUDIO, CONTROL = 2, 1


def drain(queue: WriteQueue) -> list[tuple[int, bytes]]:
    return [queue.pop() for _ in range(len(queue))]


def test_audio_and_control_keep_their_order() -> None:
    queue = WriteQueue(100, 100)
    queue.put_audio(AUDIO, b"a1", 1)
    assert queue.put_control(CONTROL, b"commit")
    queue.put_audio(AUDIO, b"a2", 1)
    assert drain(queue) == [(AUDIO, b"a1"), (CONTROL, b"commit"), (AUDIO, b"a2")]
    assert not queue


def test_the_oldest_audio_is_dropped_and_counted_in_bytes_of_audio() -> None:
    queue = WriteQueue(8, 100)
    for n in range(4):
        queue.put_audio(AUDIO, b"%04d" % n, 3)
    assert drain(queue) == [(AUDIO, b"0002"), (AUDIO, b"0003")]
    assert queue.take_dropped() == (2, 6)
    assert queue.take_dropped() == (0, 0)


def test_the_newest_audio_is_kept_however_large_it_is() -> None:
    queue = WriteQueue(8, 100)
    queue.put_audio(AUDIO, b"small", 5)
    queue.put_audio(AUDIO, b"larger than all", 15)
    assert drain(queue) == [(AUDIO, b"larger than all")]
    assert queue.take_dropped() == (1, 5)


def test_control_that_does_not_fit_is_refused_and_changes_nothing() -> None:
    queue = WriteQueue(8, 8)
    assert queue.put_control(CONTROL, b"12345678")
    assert not queue.put_control(CONTROL, b"9")
    assert (len(queue), queue.control_bytes) == (1, 8)
    queue.pop()
    assert queue.put_control(CONTROL, b"9")


def test_clear_forgets_what_waits_but_not_what_was_dropped() -> None:
    queue = WriteQueue(1, 8)
    queue.put_audio(AUDIO, b"a", 2)
    queue.put_audio(AUDIO, b"b", 2)
    queue.put_control(CONTROL, b"c")
    queue.clear()
    assert (len(queue), queue.audio_bytes, queue.control_bytes) == (0, 0, 0)
    assert queue.take_dropped() == (1, 2)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("audio"), st.integers(1, 60)),
            st.tuples(st.just("control"), st.integers(0, 60)),
            st.tuples(st.just("pop"), st.just(0)),
        ),
        max_size=60,
    ),
    st.integers(1, 100),
)
def test_order_is_kept_control_is_never_lost_and_the_bounds_hold(
    steps: list[tuple[str, int]], limit: int
) -> None:
    queue = WriteQueue(limit, 200)
    put: list[tuple[int, bytes]] = []
    taken: list[tuple[int, bytes]] = []
    n_audio = 0
    for number, (step, size) in enumerate(steps):
        message = b"%d:" % number + bytes(size)
        if step == "pop":
            if queue:
                taken.append(queue.pop())
        elif step == "audio":
            queue.put_audio(AUDIO, message, size)
            put.append((AUDIO, message))
            n_audio += 1
            assert queue.audio_bytes <= limit or queue.audio_bytes == len(message)
        elif queue.put_control(CONTROL, message):
            put.append((CONTROL, message))
        assert queue.control_bytes <= 200
    taken += drain(queue)
    assert [m for m in taken if m[0] == CONTROL] == [m for m in put if m[0] == CONTROL]
    kept = iter(put)
    assert all(message in kept for message in taken), "out of order"
    chunks, _ = queue.take_dropped()
    assert chunks == n_audio - sum(kind == AUDIO for kind, _ in taken)
