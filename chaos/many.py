"""Many calls, spread over processes, and what came of all of them as figures."""

from __future__ import annotations

import os
import signal
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import chain
from typing import Any

from chaos.laws import KINDS
from chaos.plan import draw
from chaos.run import MAX_REAL, Outcome, run

__all__ = ["figures", "run_many"]

#: Calls that a process holds before it reports.
BATCH = 20
#: Lines of the same kind that are kept of one call.
_MOST_LINES = 5


class _Stuck(BaseException):
    """A call keeps its process busy without ever coming back to the loop."""


@contextmanager
def _watched(seconds: float) -> Iterator[None]:
    """Break off whatever keeps the process busy for so many real seconds."""

    def strike(*_: object) -> None:
        raise _Stuck

    before = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _hold(seed: int, emulated: float) -> Outcome:
    plan = draw(seed, emulated)
    try:
        with _watched(2 * MAX_REAL):
            outcome = run(plan)
    except _Stuck:
        words = f"the process was busy for {2 * MAX_REAL:g} s"
        return Outcome(seed, plan.emulated, {"hung": [words]}, {}, 2 * MAX_REAL, 0.0, 0)
    outcome.violations = {k: v[:_MOST_LINES] for k, v in outcome.violations.items()}
    return outcome


def _batch(seeds: Sequence[int], emulated: float) -> list[Outcome]:
    return [_hold(seed, emulated) for seed in seeds]


def run_many(
    seeds: Sequence[int],
    *,
    emulated: float,
    processes: int | None = None,
    done: Callable[[int], None] = lambda _: None,
) -> list[Outcome]:
    """Hold the calls of these numbers; `done` is told how many more are over."""
    batches = [seeds[i : i + BATCH] for i in range(0, len(seeds), BATCH)]
    outcomes: list[list[Outcome]] = []
    with ProcessPoolExecutor(processes or _cores()) as pool:
        for found in pool.map(_batch, batches, [emulated] * len(batches)):
            outcomes.append(found)
            done(len(found))
    return list(chain.from_iterable(outcomes))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def figures(outcomes: Sequence[Outcome], began: float) -> dict[str, Any]:
    """What is written: counts of violations by kind, and the numbers of the calls that had any."""
    violations: Counter[str] = Counter()
    told: Counter[str] = Counter()
    for outcome in outcomes:
        violations.update({kind: len(found) for kind, found in outcome.violations.items()})
        told.update(outcome.told)
    failing = [o for o in outcomes if o.violations]
    return {
        "runs": len(outcomes),
        "runs_with_emulated_vendors": sum(o.emulated for o in outcomes),
        "turns": sum(o.turns for o in outcomes),
        "seconds": round(time.monotonic() - began, 1),
        "ms_per_run": {
            "mock": _median_ms(outcomes, emulated=False),
            "emulated": _median_ms(outcomes, emulated=True),
        },
        "virtual_hours": round(sum(o.virtual_s for o in outcomes) / 3600, 2),
        "violations": {kind: violations[kind] for kind in KINDS},
        "told": dict(sorted(told.items())),
        "failing_seeds": [o.seed for o in failing],
        "failures": {str(o.seed): o.violations for o in failing},
    }


def _median_ms(outcomes: Sequence[Outcome], *, emulated: bool) -> float | None:
    found = [o.seconds for o in outcomes if o.emulated is emulated]
    return round(statistics.median(found) * 1000, 1) if found else None
