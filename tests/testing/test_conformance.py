"""The suite passes what keeps the contract, and fails what does not, for the right reason."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from voxengine.audio.formats import AudioFormat
from voxengine.errors import ConfigurationError, UnknownProviderError
from voxengine.providers import register_provider, unregister_provider
from voxengine.providers.mock import MockProvider
from voxengine.testing import conformance_tests, run_conformance
from voxengine.testing.conformance import CheckResult, all_checks, scenario_for

from .mutants import MUTANTS
from .profiles import PROFILES


@conformance_tests("mock")
def test_mock(check):
    check()


@pytest.mark.parametrize("profile", [p for p in PROFILES if PROFILES[p]])
def test_the_mock_keeps_the_contract_whatever_it_pretends_to_be(profile):
    # At 8 kHz, where it can: the mock's ears need not resample then.
    narrow = AudioFormat(sample_rate=8000)
    report = run_conformance("mock", {"capabilities": PROFILES[profile], "input_format": narrow})
    assert report.ok, str(report)
    assert report.passed + report.skipped == len(all_checks())


@pytest.fixture
def broken() -> Iterator[Any]:
    yield lambda cls: register_provider("broken", cls)
    unregister_provider("broken")


@pytest.mark.parametrize(
    ("name", "cls", "config"), MUTANTS, ids=[f"{m[0]}-{m[1].__name__}" for m in MUTANTS]
)
def test_a_broken_provider_fails_the_check(name, cls, config, broken):
    broken(cls)
    report = run_conformance("broken", config, scenario=scenario_for("mock"), only=[name])
    assert report.failed == 1, str(report)
    # For a reason of the check's own, not because the broken provider fell over (unless that is how it is broken).
    raised = re.match(r"(\w+): ", report[name].reason)
    assert raised is None or raised[1] in ("RuntimeError", "UnicodeEncodeError"), report[
        name
    ].reason


def test_every_check_was_seen_to_fail():
    assert {name for name, _, _ in MUTANTS} == set(all_checks())


def test_the_report_counts_and_explains(broken):
    seen: list[CheckResult] = []
    report = run_conformance("mock", only=["connection", "refuses_tools"], on_result=seen.append)
    assert seen == list(report)
    assert (report.failed, report.skipped) == (0, 1)
    assert report["refuses_tools"].reason == "its capabilities have tools"
    figures = json.loads(json.dumps(report.figures()))
    assert figures["suite_passed"] == report.passed == len(report.results) - 1
    assert str(report).startswith(f"mock: {report.passed} passed, 0 failed, 1 skipped")


def test_what_a_provider_raises_is_a_failure_with_its_name(broken):
    class Explodes(MockProvider):
        async def connect(self) -> bool:
            raise ZeroDivisionError("boom")

    broken(Explodes)
    report = run_conformance("broken", scenario=scenario_for("mock"), only=["connects_once"])
    assert report["connects_once"].reason == "ZeroDivisionError: boom"


def test_unknown_names_are_refused():
    with pytest.raises(ConfigurationError, match="no_such_check"):
        run_conformance("mock", only=["no_such_check"])
    with pytest.raises(UnknownProviderError):
        run_conformance("no_such_provider")


def test_every_check_says_what_it_is_about():
    for name, check in all_checks().items():
        assert check.about.endswith("."), name
        assert check.area
