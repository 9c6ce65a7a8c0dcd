"""The conformance suite: what every provider must do, as checks that can be run on any of them.

A check is an async function with a name and a sentence. It knows only the contract of `BaseProvider`, asks the
capabilities what applies, and says what it found. Run them all with `run_conformance`, from pytest with
`conformance_tests`, or on the command line with `voxengine conformance NAME`.
"""

from voxengine.testing.conformance.checks import (
    Check,
    ConformanceFailure,
    NotOffered,
    all_checks,
)
from voxengine.testing.conformance.report import CheckResult, ConformanceReport
from voxengine.testing.conformance.runner import conformance_tests, run_check, run_conformance
from voxengine.testing.conformance.scenario import Scenario, scenario_for

__all__ = [
    "Check",
    "CheckResult",
    "ConformanceFailure",
    "ConformanceReport",
    "NotOffered",
    "Scenario",
    "all_checks",
    "conformance_tests",
    "run_check",
    "run_conformance",
    "scenario_for",
]
