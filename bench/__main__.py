"""Runs the measurements, prints them as tables, and writes them as JSON."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import event_cost, gateway, hot_path, on_device, startup
from bench.report import show

SECTIONS: dict[str, Callable[[bool], dict[str, Any]]] = {
    "startup": startup.measure,
    "event": event_cost.measure,
    "hot_path": hot_path.measure,
    "gateway": gateway.measure,
    "on_device": on_device.measure,
}


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("out/bench.json"), help="where the JSON goes"
    )
    parser.add_argument(
        "--only", choices=SECTIONS, action="append", help="only this section (may be repeated)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer repetitions; for a look, not for quoting"
    )
    arguments = parser.parse_args()
    figures: dict[str, Any] = {
        "machine": {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "cores": _cores(),
        },
        "quick": arguments.quick,
    }
    for name, measure in SECTIONS.items():
        if arguments.only is None or name in arguments.only:
            print(f"measuring {name} ...", file=sys.stderr, flush=True)
            figures.update(measure(arguments.quick))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(
        json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    show(figures)
    print(f"\nwritten to {arguments.out}")
    return 0


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    sys.exit(main())
