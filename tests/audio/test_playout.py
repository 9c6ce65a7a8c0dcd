from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxengine.audio import Heard, PlayoutClock
from voxengine.errors import ConfigurationError


def close(value: float) -> object:
    return pytest.approx(value, abs=1e-6)


def test_audio_that_comes_at_once_is_heard_in_real_time() -> None:
    clock = PlayoutClock()
    clock.push("a", 1000, 10.0)
    clock.push("a", 500, 10.0)
    assert clock.received_ms("a") == 1500
    assert clock.heard_ms("a", 10.0) == 0
    assert clock.heard_ms("a", 10.4) == close(400)
    assert clock.heard_ms("a", 99) == 1500
    assert clock.end_time(10.0) == close(11.5)
    assert clock.remaining_ms(11.0) == close(500)
    assert clock.playing(11.0) == "a"
    assert clock.playing(11.6) is None


def test_items_play_one_after_the_other() -> None:
    clock = PlayoutClock()
    clock.push("a", 300, 0)
    clock.push("b", 300, 0.1)
    assert clock.playing(0.2) == "a"
    assert clock.heard_ms("b", 0.29) == 0
    assert clock.playing(0.4) == "b"
    assert clock.heard_ms("b", 0.4) == close(100)
    assert clock.heard_ms("a", 0.4) == 300


def test_an_item_may_be_taken_up_again() -> None:
    clock = PlayoutClock()
    clock.push("a", 100, 0)
    clock.push("b", 100, 0)
    clock.push("a", 100, 0)
    assert clock.heard_ms("a", 0.15) == 100
    assert clock.playing(0.25) == "a"
    assert clock.heard_ms("a", 0.25) == close(150)


def test_an_underrun_begins_a_new_run() -> None:
    clock = PlayoutClock()
    clock.push("a", 100, 0)
    clock.push("a", 100, 1.0)
    assert clock.heard_ms("a", 0.5) == close(100)
    assert clock.playing(0.5) is None
    assert clock.heard_ms("a", 1.05) == close(150)
    assert clock.end_time(1.0) == close(1.1)


def test_latency_delays_what_is_heard_but_opens_no_gaps() -> None:
    clock = PlayoutClock(latency_ms=50)
    clock.push("a", 100, 0)
    assert clock.playing(0.02) is None
    assert clock.remaining_ms(0.02) == close(130)
    assert clock.heard_ms("a", 0.06) == close(10)
    # In time for the end at 0.15, with 50 ms of latency.
    clock.push("a", 100, 0.1)
    assert clock.end_time(0.1) == close(0.25)
    # Too late by 30 ms.
    clock.push("a", 100, 0.23)
    assert clock.end_time(0.23) == close(0.38)
    with pytest.raises(ConfigurationError):
        PlayoutClock(latency_ms=-1)


def test_stop_says_what_was_heard_and_forgets_the_rest() -> None:
    clock = PlayoutClock()
    for item in "abc":
        clock.push(item, 200, 0)
    assert clock.stop(0.3) == [Heard("b", 200, close(100)), Heard("c", 200, 0)]  # type: ignore[arg-type]
    assert clock.remaining_ms(0.3) == 0
    assert clock.playing(0.3) is None
    assert clock.heard_ms("a", 9) == 200
    assert clock.heard_ms("b", 9) == close(100)
    assert clock.received_ms("b") == 200
    assert clock.heard_ms("c", 9) == 0
    assert clock.stop(0.4) == []
    # What is said next begins at once, not after what was thrown away.
    clock.push("d", 100, 0.4)
    assert clock.heard_ms("d", 0.45) == close(50)


def test_an_item_that_goes_on_after_a_stop() -> None:
    clock = PlayoutClock()
    clock.push("a", 200, 0)
    clock.stop(0.05)
    clock.push("a", 100, 1.0)
    assert clock.heard_ms("a", 1.02) == close(70)
    assert clock.received_ms("a") == close(150)


def test_unknown_items_were_not_heard() -> None:
    clock = PlayoutClock()
    assert clock.heard_ms("x", 1) == 0
    assert clock.received_ms("x") == 0
    clock.ack("x", 100, 1)
    assert clock.heard_ms("x", 1) == 0
    assert clock.stop(1) == []
    assert clock.end_time(5.0) == 5.0


# --- reports of the client ---


def test_a_report_wins_over_the_computation() -> None:
    clock = PlayoutClock()
    clock.push("a", 1000, 0)
    clock.push("b", 1000, 0)
    clock.ack("a", 300, 0.5)
    assert clock.heard_ms("a", 0.5) == close(300)
    assert clock.heard_ms("a", 0.6) == close(400)
    # All that follows is 200 ms later, too.
    assert clock.heard_ms("b", 1.3) == close(100)
    assert clock.end_time(0.5) == close(2.2)


def test_the_lag_holds_for_later_runs_but_a_stall_does_not() -> None:
    clock = PlayoutClock()
    clock.push("a", 1000, 0)
    clock.ack("a", 100, 0.3)
    clock.push("b", 1000, 10.0)
    assert clock.heard_ms("b", 10.3) == close(100)
    clock.ack("b", 100, 18.0)
    clock.push("c", 1000, 30.0)
    assert clock.heard_ms("c", 30.6) == close(100)


def test_a_client_that_is_ahead_moves_the_line_forward() -> None:
    clock = PlayoutClock(latency_ms=300)
    clock.push("a", 1000, 0)
    clock.push("b", 1000, 0)
    clock.ack("b", 100, 1.2)
    assert clock.heard_ms("a", 1.2) == 1000
    assert clock.heard_ms("b", 1.3) == close(200)
    clock.push("c", 100, 5.0)
    assert clock.heard_ms("c", 5.15) == close(50)


def test_a_late_or_repeated_report_takes_nothing_back() -> None:
    clock = PlayoutClock()
    clock.push("a", 1000, 0)
    clock.ack("a", 500, 0.5)
    clock.ack("a", 200, 0.5)
    assert clock.heard_ms("a", 0.5) == close(500)
    # The client stands still: its position is what it says, and it stays there while it says so.
    clock.ack("a", 500, 0.9)
    assert clock.heard_ms("a", 0.9) == close(500)


def test_reports_of_the_end_do_not_hold_up_what_follows() -> None:
    clock = PlayoutClock()
    clock.push("a", 200, 0)
    for now in (0.3, 0.4, 5.0):
        clock.ack("a", 200, now)
    assert clock.heard_ms("a", 5.0) == 200
    clock.push("b", 100, 6.0)
    assert clock.heard_ms("b", 6.05) == close(50)


def test_a_report_of_the_end_before_its_time_ends_it() -> None:
    clock = PlayoutClock(latency_ms=100)
    clock.push("a", 200, 0)
    clock.push("b", 200, 0)
    clock.ack("a", 250, 0.2)
    assert clock.heard_ms("a", 0.2) == 200
    assert clock.heard_ms("b", 0.3) == close(100)


def test_a_report_at_the_seam_of_two_runs_changes_nothing() -> None:
    clock = PlayoutClock(latency_ms=300)
    clock.push("a", 100, 0)
    clock.push("a", 100, 0.5)
    # The first run is heard until 0.4, the second from 0.8 on; at 0.6 the listener stands between.
    clock.ack("a", 100, 0.6)
    assert clock.end_time(0) == close(0.9)
    clock.ack("a", 100, 0.85)
    assert clock.end_time(0) == close(0.95)


def test_a_report_that_was_overtaken_by_one_of_the_next_item_moves_nothing() -> None:
    clock = PlayoutClock()
    clock.push("a", 1000, 0)
    clock.push("b", 1000, 0)
    clock.ack("a", 500, 0.5)
    clock.ack("b", 10, 1.01)
    clock.ack("a", 600, 1.02)
    assert clock.heard_ms("a", 1.02) == 1000
    assert clock.heard_ms("b", 1.02) == close(20)


def test_a_report_after_the_stop_corrects_what_was_heard() -> None:
    clock = PlayoutClock()
    clock.push("a", 1000, 0)
    clock.stop(0.5)
    clock.ack("a", 380, 0.6)
    assert clock.heard_ms("a", 0.6) == 380
    clock.ack("a", 5000, 0.7)
    assert clock.heard_ms("a", 0.7) == 1000


# --- bounds ---


def test_memory_is_bounded() -> None:
    clock = PlayoutClock()
    for i in range(1000):
        clock.push(f"item {i}", 20, float(i))
    assert len(clock._items) <= 65
    assert len(clock._pieces) <= 65
    assert clock.heard_ms("item 999", 1000.0) == 20
    assert clock.heard_ms("item 950", 1000.0) == 20
    assert clock.heard_ms("item 0", 1000.0) == 0


def test_an_item_of_a_thousand_underruns_is_counted_right() -> None:
    clock = PlayoutClock()
    for i in range(1000):
        clock.push("a", 20, float(i))
    assert len(clock._pieces) <= 65
    assert clock.heard_ms("a", 999.01) == close(999 * 20 + 10)
    assert clock.received_ms("a") == close(20000)
    clock.ack("a", 100, 999.01)
    assert clock.heard_ms("a", 999.01) == close(999 * 20 + 10)


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("push"),
            st.sampled_from("abcd"),
            st.floats(0, 3000),
            st.floats(0, 1),
        ),
        st.tuples(st.just("wait"), st.just(""), st.just(0.0), st.floats(0, 5)),
        st.tuples(st.just("stop"), st.just(""), st.just(0.0), st.floats(0, 1)),
        st.tuples(st.just("ack"), st.sampled_from("abcd"), st.floats(0, 5000), st.floats(0, 1)),
    ),
    max_size=60,
)


def run(steps: list[tuple[str, str, float, float]], latency: float) -> None:
    clock = PlayoutClock(latency)
    now = 100.0
    acked = dict.fromkeys("abcd", 0.0)
    for what, item, ms, wait in steps:
        earlier = {i: clock.heard_ms(i, now) for i in "abcd"}
        now += wait
        for i in "abcd":
            # Time only ever adds to what was heard.
            assert clock.heard_ms(i, now) >= earlier[i] - 1e-6
        if what == "push":
            clock.push(item, ms, now)
        elif what == "stop":
            for cut in clock.stop(now):
                assert cut.heard_ms < cut.received_ms
            assert clock.remaining_ms(now) == 0
        elif what == "ack":
            clock.ack(item, ms, now)
            acked[item] = max(acked[item], min(ms, clock.received_ms(item)))
        for i in "abcd":
            heard = clock.heard_ms(i, now)
            assert -1e-6 <= heard <= clock.received_ms(i) + 1e-6
            assert heard >= acked[i] - 1e-6
        assert clock.end_time(now) >= now
        playing = clock.playing(now)
        assert playing is None or clock.remaining_ms(now) > 0
    end = clock.end_time(now)
    for i in "abcd":
        # All of it, to the last bit, unless a stop took the rest away.
        if not any(what == "stop" for what, *_ in steps):
            assert clock.heard_ms(i, end) == clock.received_ms(i)
        assert clock.heard_ms(i, end) <= clock.received_ms(i)


@given(STEPS, st.sampled_from([0.0, 40.0, 300.0]))
def test_what_was_heard_is_always_possible(
    steps: list[tuple[str, str, float, float]], latency: float
) -> None:
    run(steps, latency)


@given(
    st.lists(st.tuples(st.floats(1, 200), st.floats(0, 0.3)), min_size=1, max_size=50),
    st.sampled_from([0.0, 60.0]),
)
def test_agrees_with_a_simulated_device(pushes: list[tuple[float, float]], latency: float) -> None:
    """Compare with a player that is simulated piece by piece."""
    clock = PlayoutClock(latency)
    now, free, total = 0.0, 0.0, 0.0
    pieces = []
    for ms, wait in pushes:
        clock.push("a", ms, now)
        start = max(free, now + latency / 1000)
        free = start + ms / 1000
        pieces.append((start, ms))
        total += ms
        now += wait
        heard = sum(min(max((now - s) * 1000, 0.0), m) for s, m in pieces)
        # A gap of less than a millisecond is not counted as one.
        assert clock.heard_ms("a", now) == pytest.approx(heard, abs=len(pieces) * 1.001)
    assert clock.received_ms("a") == pytest.approx(total)
