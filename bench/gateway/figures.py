"""From what the processes measured to the figures that are written. Rounds and ratios: see `bench.hot_path.figures`."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.gateway.records import Outcome, Step

__all__ = ["LAG_LIMIT_MS", "Round", "capacity", "growth", "row"]

Round = Mapping[str, Outcome]

#: A loop that is later than this leaves a call no time for anything else.
LAG_LIMIT_MS = 20.0
#: The part of a window for which a side may have waited for its core.
_CALM = 0.05
_OURS, _RAW, _PLAIN = "voxengine", "raw", "websockets"


def cpu_ms(step: Step) -> float:
    """CPU milliseconds of the relay's process a second of a call."""
    return step.relay.cpu_s / step.relay.window_s / step.calls * 1000


def row(rounds: Sequence[Round], calls: int) -> dict[str, Any]:
    """The gateway with so many calls, against the relays in the same rounds."""
    waited = [
        max(step_of(outcomes[side], calls).relay.waited for side in (_OURS, _RAW))
        for outcomes in rounds
    ]
    calm = [o for o, part in zip(rounds, waited, strict=True) if part <= _CALM] or list(rounds)
    ours, raw, plain = (
        [step_of(outcomes[side], calls) for outcomes in calm] for side in (_OURS, _RAW, _PLAIN)
    )
    ratios = [cpu_ms(a) / cpu_ms(b) for a, b in zip(ours, raw, strict=True)]
    plain_ratios = [cpu_ms(a) / cpu_ms(b) for a, b in zip(plain, raw, strict=True)]
    both = list(zip(ours, raw, strict=True))
    return {
        "calls": calls,
        "chunk_ms": 20,
        "cpu_ms_per_call_s": _median(map(cpu_ms, ours)),
        "loop_cpu_ms_per_call_s": _median(
            s.relay.loop_cpu_s / s.relay.window_s / calls * 1000 for s in ours
        ),
        "floor_cpu_ms_per_call_s": _median(map(cpu_ms, raw)),
        "websockets_cpu_ms_per_call_s": _median(map(cpu_ms, plain)),
        "ratio_to_floor": _median(ratios),
        "ratio_spread": [round(min(ratios), 3), round(max(ratios), 3)],
        "websockets_ratio_to_floor": _median(plain_ratios),
        "p50_added_ms": _median(a.latency_p50_ms - b.latency_p50_ms for a, b in both),
        "p99_added_ms": _median(a.latency_p99_ms - b.latency_p99_ms for a, b in both),
        "floor_p99_ms": _median(s.latency_p99_ms for s in raw),
        "append_p99_added_ms": _median(
            a.append_late_p99_ms - b.append_late_p99_ms for a, b in both
        ),
        "delivered": min(outcomes[_OURS].delivered for outcomes in rounds),
        "appended": min(outcomes[_OURS].appended for outcomes in rounds),
        "missed_deadlines": sum(s.missed_deadlines for s in ours),
        "frames": sum(s.frames for s in ours),
        "loop_lag_p99_ms": _median(s.relay.loop_lag_p99_ms for s in ours),
        "floor_loop_lag_p99_ms": _median(s.relay.loop_lag_p99_ms for s in raw),
        "connect_ms": _median(ms for s in ours for ms in s.connect_ms),
        "rounds_used": len(calm),
        "waited": [round(part, 3) for part in waited],
        "rounds": [
            {side: _rounded(step_of(outcomes[side], calls)) for side in outcomes}
            for outcomes in rounds
        ],
    }


def growth(rounds: Sequence[Round], side: str, low: int, high: int) -> float:
    """Resident memory in KB that each call more takes between `low` and `high` calls."""
    return _median(
        (step_of(o[side], high).relay.rss_kb - step_of(o[side], low).relay.rss_kb) / (high - low)
        for o in rounds
    )


def capacity(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """How many calls there were when the loop's lag had not yet passed the limit.

    `limit_reached`: whether it was passed at all, by the gateway rather than by the client that calls it.
    """
    held, reached = [], []
    for outcome in outcomes:
        within = [s.calls for s in outcome.steps if s.relay.loop_lag_p99_ms <= LAG_LIMIT_MS]
        held.append(max(within, default=0))
        last = outcome.steps[-1]
        reached.append(last.relay.loop_lag_p99_ms > max(LAG_LIMIT_MS, last.client_lag_p99_ms))
    return {
        "max_calls_at_20ms_lag": int(statistics.median_low(held)),
        "limit_reached": all(reached),
        "rounds": [[_rounded(step) for step in outcome.steps] for outcome in outcomes],
    }


def step_of(outcome: Outcome, calls: int) -> Step:
    """The step with so many calls."""
    return next(step for step in outcome.steps if step.calls == calls)


def _median(values: Iterable[float]) -> float:
    return round(float(statistics.median(values)), 3)


def _rounded(step: Step) -> dict[str, float]:
    return {
        "calls": step.calls,
        "cpu_ms_per_call_s": round(cpu_ms(step), 4),
        "loop_cpu_s": round(step.relay.loop_cpu_s, 4),
        "p50_ms": round(step.latency_p50_ms, 3),
        "p99_ms": round(step.latency_p99_ms, 3),
        "append_late_p99_ms": round(step.append_late_p99_ms, 3),
        "loop_lag_p99_ms": round(step.relay.loop_lag_p99_ms, 3),
        "client_lag_p99_ms": round(step.client_lag_p99_ms, 3),
        "missed_deadlines": step.missed_deadlines,
        "rss_kb": step.relay.rss_kb,
        "waited": round(step.relay.waited, 3),
    }
