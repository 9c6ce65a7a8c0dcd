"""Faults as data, for the mock and the emulators: see `voxengine.providers.mock.faults`, where they live.

They are defined beside the mock because a provider may not import the test kit.
"""

from voxengine.providers.mock.faults import (
    Drop,
    Duplicate,
    ErrorOnce,
    Fault,
    FaultLike,
    FaultPlan,
    Flap,
    Late,
    OutOfOrder,
    Refuse,
    Slow,
    Stall,
    parse_fault,
)

__all__ = [
    "Drop",
    "Duplicate",
    "ErrorOnce",
    "Fault",
    "FaultLike",
    "FaultPlan",
    "Flap",
    "Late",
    "OutOfOrder",
    "Refuse",
    "Slow",
    "Stall",
    "parse_fault",
]
