"""The test kit: a virtual clock, the scripted mock, faults, and the suite that every provider must pass.

Nothing of it is needed to run VoxEngine, and none of it needs a network, a key or a model.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxengine.providers.mock import MockConfig, MockProvider
    from voxengine.testing.clock import (
        DeadlockError,
        TimeLimitError,
        VirtualClockLoop,
        advance,
        run,
    )
    from voxengine.testing.conformance import (
        ConformanceReport,
        Scenario,
        conformance_tests,
        run_conformance,
    )
    from voxengine.testing.faults import (
        Drop,
        Duplicate,
        ErrorOnce,
        FaultPlan,
        Flap,
        Late,
        OutOfOrder,
        Refuse,
        Slow,
        Stall,
    )
    from voxengine.testing.leaks import LeakError, check_leaks, settle

__all__ = [
    "ConformanceReport",
    "DeadlockError",
    "Drop",
    "Duplicate",
    "ErrorOnce",
    "FaultPlan",
    "Flap",
    "Late",
    "LeakError",
    "MockConfig",
    "MockProvider",
    "OutOfOrder",
    "Refuse",
    "Scenario",
    "Slow",
    "Stall",
    "TimeLimitError",
    "VirtualClockLoop",
    "advance",
    "check_leaks",
    "conformance_tests",
    "run",
    "run_conformance",
    "settle",
]

_HOMES = {
    "voxengine.providers.mock": ("MockConfig", "MockProvider"),
    "voxengine.testing.clock": (
        "DeadlockError",
        "TimeLimitError",
        "VirtualClockLoop",
        "advance",
        "run",
    ),
    "voxengine.testing.conformance": (
        "ConformanceReport",
        "Scenario",
        "conformance_tests",
        "run_conformance",
    ),
    "voxengine.testing.faults": (
        "Drop",
        "Duplicate",
        "ErrorOnce",
        "FaultPlan",
        "Flap",
        "Late",
        "OutOfOrder",
        "Refuse",
        "Slow",
        "Stall",
    ),
    "voxengine.testing.leaks": ("LeakError", "check_leaks", "settle"),
}
_LATE = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    # Late, so that the pytest plugin costs a suite nothing before a test uses it.
    if name in _LATE:
        return getattr(importlib.import_module(_LATE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
