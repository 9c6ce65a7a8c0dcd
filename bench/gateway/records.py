"""What the processes of a measurement tell one another."""

from __future__ import annotations

import msgspec

__all__ = ["Job", "Outcome", "Ports", "Step", "Usage"]


class Ports(msgspec.Struct, frozen=True):
    """Where a relay listens: for calls, and for the one who measures."""

    calls: int
    control: int


class Usage(msgspec.Struct, frozen=True):
    """What a relay has used in a window."""

    window_s: float
    #: Of all its threads.
    cpu_s: float
    #: Of the thread of the event loop alone.
    loop_cpu_s: float
    loop_lag_p99_ms: float
    rss_kb: float
    #: The part of the window for which it could have worked, but others had its core; 0 where unknown.
    waited: float


class Job(msgspec.Struct, frozen=True):
    """What to measure: `calls` at each step, for `seconds` after `settle` seconds.

    With `lag_limit_ms` it ends after the first step at which the relay's loop is later than that.
    """

    relay: Ports
    server_port: int
    calls: list[int]
    seconds: float
    settle: float
    core: int | None = None
    lag_limit_ms: float | None = None


class Step(msgspec.Struct, frozen=True):
    """So many calls at once, in a window of time."""

    calls: int
    relay: Usage
    #: From the server's sending of a delta to the client's handler.
    latency_p50_ms: float
    latency_p99_ms: float
    #: How much later appends came to the server than the most punctual one of their call.
    append_late_p99_ms: float
    #: Frames that the client sent too late: then it is the client that is at its limit.
    missed_deadlines: int
    frames: int
    client_lag_p99_ms: float
    #: Milliseconds that each of the calls that were added took to connect.
    connect_ms: list[float]


class Outcome(msgspec.Struct, frozen=True):
    """A job, done. `delivered` and `appended` are fractions of what was sent down and up."""

    steps: list[Step]
    #: Resident memory of the relay before the first call but one.
    rss_before_kb: float
    delivered: float
    appended: float
    #: Types of messages that came to the server beside `session.update` and appends.
    others: list[str]
