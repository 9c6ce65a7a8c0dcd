"""What the model worker has done: counts, and the last queue waits and run times."""

from __future__ import annotations

import statistics
from collections import deque
from typing import Any

__all__ = ["LaneStats"]

#: How many of the last jobs the medians are taken over.
WINDOW = 256


class LaneStats:
    """The figures of one lane. Written under the lane's lock; reading needs none, for a figure may be one job old."""

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        self.threads = threads
        self.done = 0
        self.failed = 0
        #: Dropped before they began: by their caller, by newer work of the session.
        self.cancelled = 0
        self.superseded = 0
        #: Not taken at all, and not finished in time.
        self.refused = 0
        self.timeouts = 0
        #: Seconds of the last jobs.
        self.waits: deque[float] = deque(maxlen=WINDOW)
        self.runs: deque[float] = deque(maxlen=WINDOW)

    def finish(self, wait_s: float, run_s: float, *, failed: bool) -> None:
        """Note a job that ran to its end."""
        self.done += 1
        self.failed += failed
        self.waits.append(wait_s)
        self.runs.append(run_s)

    def as_dict(self) -> dict[str, Any]:
        """The figures, times in ms."""
        waits, runs = list(self.waits), list(self.runs)
        return {
            "threads": self.threads,
            "done": self.done,
            "failed": self.failed,
            "cancelled": self.cancelled,
            "superseded": self.superseded,
            "refused": self.refused,
            "timeouts": self.timeouts,
            "wait_ms_median": _ms(statistics.median(waits)) if waits else 0.0,
            "wait_ms_max": _ms(max(waits)) if waits else 0.0,
            "run_ms_median": _ms(statistics.median(runs)) if runs else 0.0,
            "run_ms_max": _ms(max(runs)) if runs else 0.0,
        }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
