"""What the processes of a measurement tell one another."""

from __future__ import annotations

import msgspec

__all__ = ["Job", "Outcome", "Report", "Step"]


class Job(msgspec.Struct, frozen=True):
    """What to measure: `calls` at each step, for `seconds` after `settle` seconds.

    `traced`: count what Python has allocated; that slows everything down, so nothing else is worth reading then.
    """

    side: str
    port: int
    chunk_ms: int
    calls: list[int]
    seconds: float
    settle: float
    core: int | None = None
    traced: bool = False


class Step(msgspec.Struct, frozen=True):
    """So many calls at once, in a window of time."""

    calls: int
    window_s: float
    cpu_s: float
    #: From the server's sending of a delta to the handler.
    latency_p50_ms: float
    latency_p99_ms: float
    #: How much later appends came to the server than the most punctual one of their call.
    append_late_p99_ms: float
    missed_deadlines: int
    frames: int
    loop_lag_p99_ms: float
    #: Resident memory above that before the first call.
    rss_kb: float
    #: The same of what Python has allocated and not given back; 0 unless the job is traced.
    heap_kb: float
    server_cpu_s: float
    #: The part of the window for which this process could have worked, but others had its core; 0 where unknown.
    waited: float
    #: Milliseconds that each of the calls that were added took to connect, and CPU seconds meanwhile.
    connect_ms: list[float]
    connect_cpu_s: float
    connect_s: float


class Outcome(msgspec.Struct, frozen=True):
    """A job, done. `delivered` and `appended` are fractions of what was sent down and up.

    `first_call_lag_ms`: for how long at most the first call of the process held up the loop.
    """

    steps: list[Step]
    delivered: float
    appended: float
    others: list[str]
    first_call_lag_ms: float


class Report(msgspec.Struct, frozen=True):
    """What the server has seen of the calls that are connected."""

    calls: int
    #: Since each call began.
    deltas_sent: int
    audio_bytes: int
    #: Types of messages other than `session.update` and appends; empty where nothing was cut short.
    others: list[str]
    #: Of each append in the window: how much later it came than the call's most punctual one, in microseconds.
    append_late_us: list[int]
    cpu_s: float
    window_s: float
