"""`voxengine conformance`, with a suite that takes no time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

import voxengine.testing.conformance as suite
from voxengine.cli.conformance import runnable
from voxengine.testing.conformance import CheckResult, ConformanceReport

Run = Callable[..., Result]


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """How the suite ends, by provider; what is not in it passes."""
    outcomes: dict[str, str] = {}

    def run_conformance(name: str, on_result: Any = None) -> ConformanceReport:
        results = [
            CheckResult("one", "area", "about", "passed", seconds=0.5),
            CheckResult("two", "area", "about", outcomes.get(name, "passed"), "a reason"),  # type: ignore[arg-type]
        ]
        for result in results:
            on_result(result)
        return ConformanceReport(name, results)

    monkeypatch.setattr(suite, "run_conformance", run_conformance)
    return outcomes


def test_all_that_run_here(run: Run, outcomes: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "deep" / "conformance.json"
    result = run("conformance", "--all", "--out", str(out))
    assert result.exit_code == 0, result.output
    figures = json.loads(out.read_text())["providers"]
    assert set(figures) == set(runnable())
    assert {"mock", "local"} <= set(figures)
    assert "cascade" not in figures
    assert figures["mock"]["suite_passed"] == 2
    assert figures["mock"]["suite_failed"] == 0


def test_a_failure_is_named_and_fails(run: Run, outcomes: dict[str, str]) -> None:
    outcomes["mock"] = "failed"
    result = run("conformance", "mock")
    assert result.exit_code == 1
    assert "✗ mock: two: a reason" in result.stdout


def test_json(run: Run, outcomes: dict[str, str]) -> None:
    outcomes["mock"] = "skipped"
    result = run("conformance", "mock", "--json")
    assert result.exit_code == 0
    figures = json.loads(result.stdout)["providers"]["mock"]
    assert (figures["suite_passed"], figures["suite_failed"]) == (1, 0)


def test_a_file_that_cannot_be_written(run: Run, outcomes: dict[str, str]) -> None:
    result = run("conformance", "mock", "--out", "/dev/null/x.json")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr
