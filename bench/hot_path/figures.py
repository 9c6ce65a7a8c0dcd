"""From what the processes measured to the figures that are written.

A round is every job once, one after the other. A ratio or a difference is taken within a round and then the median over
the rounds: what slows the machine for a minute slows both of its sides. A round in which other processes took the core
from one of them is left out, if there is one in which they did not: late work is done in larger pieces, which is
cheaper, and so looks better than it is.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bench.hot_path.records import Outcome, Step

__all__ = ["Key", "Round", "growth", "heap_kb_per_call", "percentile", "row"]

#: A side and its chunk in ms.
Key = tuple[str, int]
Round = Mapping[Key, Outcome]

#: The part of a window for which a side may have waited for its core.
_CALM = 0.05

_FLOOR, _PLAIN, _TIMERS = "floor", "websockets", "timers"


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that so many percent of the values do not exceed; 0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def cpu_ms(step: Step) -> float:
    """CPU milliseconds a second of a call."""
    return step.cpu_s / step.window_s / step.calls * 1000


def row(rounds: Sequence[Round], side: str, chunk_ms: int, calls: int) -> dict[str, Any]:
    """One side with so many calls, against the floor and the plain way in the same rounds."""
    delivered, appended = zip(
        *((o[side, chunk_ms].delivered, o[side, chunk_ms].appended) for o in rounds), strict=True
    )
    waited = [
        max(_step(o[name, chunk_ms], calls).waited for name in (side, _FLOOR)) for o in rounds
    ]
    calm = _calm(rounds, waited)

    def steps(name: str, chunk: int = chunk_ms) -> list[Step]:
        return [_step(outcomes[name, chunk], calls) for outcomes in calm]

    ours, floor, plain, timers = steps(side), steps(_FLOOR), steps(_PLAIN), steps(_TIMERS, 20)
    ratios = _each(_ratio, ours, floor)
    return {
        "calls": calls,
        "chunk_ms": chunk_ms,
        "mode": "fast" if side.endswith("fast") else "big",
        "cpu_ms_per_call_s": _median(map(cpu_ms, ours)),
        "floor_cpu_ms_per_call_s": _median(map(cpu_ms, floor)),
        "websockets_cpu_ms_per_call_s": _median(map(cpu_ms, plain)),
        "timers_cpu_ms_per_call_s": _median(map(cpu_ms, timers)),
        "ratio_to_floor": _median(ratios),
        "ratio_spread": [round(min(ratios), 3), round(max(ratios), 3)],
        "ratio_without_timers": _median(
            _over(cpu_ms(o) - cpu_ms(t), cpu_ms(f) - cpu_ms(t))
            for o, f, t in zip(ours, floor, timers, strict=True)
        ),
        "websockets_ratio_to_floor": _median(_each(_ratio, plain, floor)),
        "p50_added_ms": _median(
            _each(lambda a, b: a.latency_p50_ms - b.latency_p50_ms, ours, floor)
        ),
        "p99_added_ms": _median(
            _each(lambda a, b: a.latency_p99_ms - b.latency_p99_ms, ours, floor)
        ),
        "floor_p99_ms": _median(s.latency_p99_ms for s in floor),
        "append_p99_added_ms": _median(
            _each(lambda a, b: a.append_late_p99_ms - b.append_late_p99_ms, ours, floor)
        ),
        "rss_kb_per_call": _median(_each(lambda a, b: (a.rss_kb - b.rss_kb) / calls, ours, floor)),
        "websockets_rss_kb_per_call": _median(
            _each(lambda a, b: (a.rss_kb - b.rss_kb) / calls, plain, floor)
        ),
        "delivered": min(delivered),
        "appended": min(appended),
        "missed_deadlines": sum(s.missed_deadlines for s in ours),
        "floor_missed_deadlines": sum(s.missed_deadlines for s in floor),
        "frames": sum(s.frames for s in ours),
        "loop_lag_p99_ms": _median(s.loop_lag_p99_ms for s in ours),
        "floor_loop_lag_p99_ms": _median(s.loop_lag_p99_ms for s in floor),
        "rounds_used": len(calm),
        "waited": [round(part, 3) for part in waited],
        "rounds": [
            {
                name: _rounded(_step(outcomes[name, chunk], calls))
                for name, chunk in (
                    (side, chunk_ms),
                    (_FLOOR, chunk_ms),
                    (_PLAIN, chunk_ms),
                    (_TIMERS, 20),
                )
            }
            for outcomes in rounds
        ],
    }


def growth(
    rounds: Sequence[Round], side: str, chunk_ms: int, low: int, high: int
) -> dict[str, Any]:
    """What each call more costs between `low` and `high` calls at once, and how long it takes to connect."""
    cpu, rss, connect, connect_cpu = [], [], [], []
    waited = [max(_step(o[side, chunk_ms], calls).waited for calls in (low, high)) for o in rounds]
    calm = _calm(rounds, waited)
    for outcomes in calm:
        outcome = outcomes[side, chunk_ms]
        few, many = _step(outcome, low), _step(outcome, high)
        cpu.append((cpu_ms(many) * high - cpu_ms(few) * low) / (high - low))
        rss.append((many.rss_kb - few.rss_kb) / (high - low))
        connect.append(statistics.median(many.connect_ms))
        before = outcome.steps[outcome.steps.index(many) - 1]
        running = before.cpu_s / before.window_s * many.connect_s
        connect_cpu.append((many.connect_cpu_s - running) * 1000 / len(many.connect_ms))
    return {
        "cpu_ms_per_added_call_s": _median(cpu),
        "rss_kb_per_added_call": _median(rss),
        "connect_ms": _median(connect),
        "connect_cpu_ms": _median(connect_cpu),
        "first_call_lag_ms": _median(o[side, chunk_ms].first_call_lag_ms for o in calm),
    }


def heap_kb_per_call(outcome: Outcome, floor: Outcome) -> float:
    """What Python keeps for a call above the floor, with as many calls as there were at most. Exact, unlike RSS."""
    ours, theirs = outcome.steps[-1], floor.steps[-1]
    return round((ours.heap_kb - theirs.heap_kb) / ours.calls, 1)


def _calm(rounds: Sequence[Round], waited: Sequence[float]) -> Sequence[Round]:
    return [o for o, part in zip(rounds, waited, strict=True) if part <= _CALM] or rounds


def _step(outcome: Outcome, calls: int) -> Step:
    return next(step for step in outcome.steps if step.calls == calls)


def _each(
    figure: Callable[[Step, Step], float], ours: Sequence[Step], others: Sequence[Step]
) -> list[float]:
    return [figure(a, b) for a, b in zip(ours, others, strict=True)]


def _ratio(ours: Step, floor: Step) -> float:
    return _over(cpu_ms(ours), cpu_ms(floor))


def _over(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _median(values: Iterable[float]) -> float:
    return round(float(statistics.median(values)), 3)


def _rounded(step: Step) -> dict[str, float]:
    return {
        "cpu_ms_per_call_s": round(cpu_ms(step), 4),
        "p50_ms": round(step.latency_p50_ms, 3),
        "p99_ms": round(step.latency_p99_ms, 3),
        "append_late_p99_ms": round(step.append_late_p99_ms, 3),
        "loop_lag_p99_ms": round(step.loop_lag_p99_ms, 3),
        "missed_deadlines": step.missed_deadlines,
        "rss_kb": step.rss_kb,
        "server_cpu_s": round(step.server_cpu_s, 4),
        "waited": round(step.waited, 3),
    }
