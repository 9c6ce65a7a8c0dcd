"""The mock: a provider that is all script, for tests, demos and development without any vendor."""

from voxengine.providers.mock.config import MOCK_CAPABILITIES, Latency, MockConfig, MockSettings
from voxengine.providers.mock.connection import MockCall
from voxengine.providers.mock.faults import (
    Drop,
    Duplicate,
    ErrorOnce,
    Fault,
    FaultPlan,
    Flap,
    Late,
    OutOfOrder,
    Refuse,
    Slow,
    Stall,
)
from voxengine.providers.mock.provider import MockProvider

__all__ = [
    "MOCK_CAPABILITIES",
    "Drop",
    "Duplicate",
    "ErrorOnce",
    "Fault",
    "FaultPlan",
    "Flap",
    "Late",
    "Latency",
    "MockCall",
    "MockConfig",
    "MockProvider",
    "MockSettings",
    "OutOfOrder",
    "Refuse",
    "Slow",
    "Stall",
]
