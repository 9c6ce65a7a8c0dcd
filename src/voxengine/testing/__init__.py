"""The test kit: a virtual clock, the scripted mock, faults, and the suite that every provider must pass.

Nothing of it is needed to run VoxEngine, and none of it needs a network, a key or a model.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxengine.testing.clock import (
        DeadlockError,
        TimeLimitError,
        VirtualClockLoop,
        advance,
        run,
    )
    from voxengine.testing.leaks import LeakError, check_leaks, settle

__all__ = [
    "DeadlockError",
    "LeakError",
    "TimeLimitError",
    "VirtualClockLoop",
    "advance",
    "check_leaks",
    "run",
    "settle",
]

_LATE = {
    "DeadlockError": "clock",
    "TimeLimitError": "clock",
    "VirtualClockLoop": "clock",
    "advance": "clock",
    "run": "clock",
    "LeakError": "leaks",
    "check_leaks": "leaks",
    "settle": "leaks",
}


def __getattr__(name: str) -> Any:
    # Late, so that the pytest plugin costs a suite nothing before a test uses it.
    if name in _LATE:
        return getattr(importlib.import_module(f"{__name__}.{_LATE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
