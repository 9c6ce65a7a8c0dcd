"""The figures of real sockets, and a table of them."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from rich.table import Table

from chaos.kill.failover import MOMENTS, Kill, kills
from chaos.kill.planned import PLANS, Gap, changes
from chaos.kill.words import Understood, understand_all

__all__ = ["failed", "figures", "hold", "table"]

#: Milliseconds of the engine's own, medians: what is aimed at.
TARGETS = {"warm": 50.0, "cold": 150.0}
#: A planned change of each kind for so many kills of each.
_KILLS_PER_CHANGE = 10


def hold(runs: int, done: Callable[[int], None] = lambda _: None) -> dict[str, Any]:
    """Hold all calls on real sockets, and return the figures. `done` is told how many more kills there were."""
    began = time.monotonic()

    async def main() -> dict[str, Any]:
        killed = await kills(runs, done)
        changed = await changes(max(1, runs // _KILLS_PER_CHANGE))
        return figures(killed, changed, await understand_all())

    found = asyncio.run(main())
    return {"seconds": round(time.monotonic() - began, 1), **found}


def figures(
    killed: Sequence[Kill], changed: Sequence[Gap], understood: Sequence[Understood]
) -> dict[str, Any]:
    """What is written. Of times: milliseconds; `kills` holds the single ones."""
    violations: Counter[str] = Counter()
    for broken in [call.violations for call in killed] + [call.violations for call in changed]:
        violations.update({kind: len(found) for kind, found in broken.items()})
    return {
        "kills_of_each_kind": len(killed) // (2 * len(MOMENTS)),
        **{
            f"{name}_ms": {
                moment: _of_moment([k for k in killed if (k.moment, k.warm) == (moment, warm)])
                for moment in MOMENTS
            }
            for name, warm in (("warm", True), ("cold", False))
        },
        "planned_switch": {
            when: {
                "missing_frames": sum(g.missing_frames for g in changed if g.when == when),
                "frames": sum(g.frames for g in changed if g.when == when),
                "missing_words": sum(g.missing_words for g in changed if g.when == when),
            }
            for when in PLANS
        },
        "word_errors": {
            u.name: {"words": u.words, "alone": u.errors, "killed": u.errors_killed}
            for u in understood
        },
        "violations": dict(sorted(violations.items())),
        "kills": [msgspec.to_builtins(k) for k in killed],
    }


def _of_moment(killed: Sequence[Kill]) -> dict[str, Any]:
    return {
        name: _spread(getattr(k, f"{name}_ms") for k in killed)
        for name in ("own", "total", "thinking", "noticed", "switched")
    }


def _spread(values: Iterable[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "median": round(statistics.median(ordered), 1),
        "p90": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.9))], 1),
        "max": round(ordered[-1], 1),
    }


def failed(found: dict[str, Any]) -> list[str]:
    """What of the figures is not as it has to be, in words."""
    words = [f"{kind}: {n}" for kind, n in found["violations"].items()]
    for name, target in TARGETS.items():
        for moment, times in found[f"{name}_ms"].items():
            own = times["own"]["median"]
            if own > target:
                words.append(f"{name}, {moment}: the engine's own part is {own} ms, not {target:g}")
    for when, gaps in found["planned_switch"].items():
        if gaps["missing_words"] or (gaps["missing_frames"] and when != "never"):
            words.append(f"a change {when}: {gaps}")
    for name, wrong in found["word_errors"].items():
        if wrong["killed"] > wrong["alone"]:
            words.append(f"{name}: {wrong}")
    return words


def table(found: dict[str, Any]) -> Table:
    """The figures to read."""
    shown = Table(
        title=f"real sockets: {found['kills_of_each_kind']} kills of each kind, in {found['seconds']} s",
        title_justify="left",
    )
    for name in ("what", "median", "p90", "target"):
        shown.add_column(name, justify="left" if name == "what" else "right")
    for name, target in TARGETS.items():
        for moment, times in found[f"{name}_ms"].items():
            own, total = times["own"], times["total"]
            shown.add_row(
                f"{name}, killed while {moment}: the engine's own part, ms",
                f"{own['median']}",
                f"{own['p90']}",
                f"<= {target:g}",
            )
            shown.add_row(
                "... kill to first audio frame of the other",
                str(total["median"]),
                str(total["p90"]),
            )
    for when, gaps in found["planned_switch"].items():
        missing = f"{gaps['missing_frames']} of {gaps['frames']}"
        shown.add_row(f"planned switch, {when}: missing frames", missing, "", "0")
    for name, wrong in found["word_errors"].items():
        figure = f"{wrong['killed']} / {wrong['alone']} of {wrong['words']}"
        shown.add_row(f"{name}: word errors, killed / alone", figure, "", "no more")
    for kind, n in found["violations"].items():
        shown.add_row(kind.replace("_", " "), str(n), "", "0")
    return shown
