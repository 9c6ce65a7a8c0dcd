"""Holds many calls in which much goes wrong, or one of them to be read; writes what came of them as JSON.

The first part is seeded and goes by a virtual clock; the second kills vendors that are processes, in real time.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from chaos.kill import report
from chaos.kill.failover import MOMENTS
from chaos.many import figures, run_many
from chaos.plan import Plan, draw
from chaos.run import run


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--runs", type=int, help="how many calls (by default 500)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first of them")
    parser.add_argument(
        "--seed", type=int, help="only the call of this number, with all that happens in it"
    )
    parser.add_argument(
        "--emulated",
        type=float,
        default=0.25,
        help="the part of the calls that go to emulated vendors",
    )
    parser.add_argument(
        "--processes", type=int, help="how many at a time; as a rule one for each core"
    )
    parser.add_argument(
        "--kills",
        type=int,
        help="how often a vendor is killed in each way, in the second part (by default 10; 0 where --runs is given)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("out/chaos.json"), help="where the JSON goes"
    )
    arguments = parser.parse_args()
    if arguments.seed is not None:
        return _one(draw(arguments.seed, arguments.emulated))
    return _many(arguments)


def _one(plan: Plan) -> int:
    """Replay one call, and print everything."""
    for line in plan.lines:
        print(f"provider {line}")
    print(f"settings {plan.config}{' with fallback' if plan.chain else ''}")
    for turn in plan.turns:
        print(f"plan     {turn}")
        for deed in plan.deeds:
            if deed.turn == turn.number:
                print(f"plan     {deed}")
    outcome = run(plan, trace=True)
    print("\n".join(outcome.trace))
    for kind, found in outcome.violations.items():
        for words in found:
            print(f"{kind}: {words}")
    print("told:", outcome.told, "| no violation" if not outcome.violations else "")
    return 1 if outcome.violations else 0


def _many(arguments: argparse.Namespace) -> int:
    runs = 500 if arguments.runs is None else arguments.runs
    kills = arguments.kills
    if kills is None:
        kills = 10 if arguments.runs is None else 0
    seeds = range(arguments.first, arguments.first + runs)
    with _progress("calls", len(seeds)) as done:
        began = time.monotonic()
        outcomes = run_many(
            seeds,
            emulated=arguments.emulated,
            processes=arguments.processes,
            done=done,
        )
        found = figures(outcomes, began)
    wrong: list[str] = []
    if kills:
        with _progress("vendors killed", 2 * len(MOMENTS) * kills) as done:
            found["real_sockets"] = report.hold(kills, done)
        wrong = report.failed(found["real_sockets"])
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(
        json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    _show(found)
    for words in wrong:
        print(f"not as it has to be: {words}")
    print(f"\nwritten to {arguments.out}")
    return 1 if found["failing_seeds"] or wrong else 0


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Shows how far it is; gives what is to be told how many more are done."""
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda n: progress.update(task, advance=n)


def _show(found: dict[str, Any]) -> None:
    table = Table(
        title=f"{found['runs']} calls, {found['turns']} turns, in {found['seconds']} s",
        title_justify="left",
    )
    table.add_column("what")
    table.add_column("violations", justify="right")
    for kind, count in found["violations"].items():
        table.add_row(kind.replace("_", " "), str(count))
    console = Console()
    console.print(table)
    console.print("the application was told instead:", found["told"] or "nothing")
    seeds = found["failing_seeds"]
    if seeds:
        shown = ", ".join(map(str, seeds[:20])) + (", ..." if len(seeds) > 20 else "")
        console.print(f"failing: {shown}; make chaos SEED={seeds[0]} shows the first")
    if "real_sockets" in found:
        console.print(report.table(found["real_sockets"]))


if __name__ == "__main__":
    sys.exit(main())
