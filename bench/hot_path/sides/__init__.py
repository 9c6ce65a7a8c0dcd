"""The sides, by name; each is imported alone, so that a process has loaded no other side's libraries."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from bench.hot_path.harness import Ear, Line

__all__ = ["MODULES", "side"]

MODULES = {
    "timers": "timers",
    "floor": "floor",
    "websockets": "plain",
    "voxengine": "engine",
    "voxengine_fast": "engine",
}


def side(name: str) -> Callable[[str, Ear, int], Line]:
    """The class of a side's calls."""
    module = importlib.import_module(f"{__name__}.{MODULES[name]}")
    lines: dict[str, Callable[[str, Ear, int], Line]] = module.LINES
    return lines[name]
