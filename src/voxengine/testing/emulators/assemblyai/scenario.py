"""How the suite talks to the Voice Agent."""

from __future__ import annotations

from voxengine.testing.conformance.scenario import Scenario
from voxengine.testing.conformance.vendors import usual_scenario

__all__ = ["scenario"]


def scenario(name: str) -> Scenario:
    """The usual one, in which the end of an answer is waited for: it is told when it has been played."""
    return usual_scenario(name, quiet=20.0, patience=60.0)
