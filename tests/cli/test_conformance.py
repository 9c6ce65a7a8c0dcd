"""`voxengine conformance`, with a suite that takes no time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

import voxengine.testing.conformance as suite
import voxengine.testing.conformance.gateway as gateway
from voxengine.cli.conformance import runnable
from voxengine.testing.conformance import CheckResult, ConformanceReport
from voxengine.testing.conformance.gateway import GatewayReport, GatewayResult

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


@pytest.fixture
def behind(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """How the gateway's suite ends, by provider; what is not in it passes."""
    behind: dict[str, str] = {}

    def run_gateway_conformance(name: str, on_result: Any = None) -> GatewayReport:
        results = [
            GatewayResult(check.name, check.area, check.about, "passed", seconds=0.1)
            for check in gateway.gateway_checks().values()
        ]
        first = results[0]
        results[0] = GatewayResult(
            first.name,
            first.area,
            first.about,
            behind.get(name, "passed"),  # type: ignore[arg-type]
            "a reason",
        )
        for result in results:
            on_result(result)
        figures = {"client_events": 11, "server_events_sent": 9, "server_events_valid": 9}
        return GatewayReport(name, results, figures)

    monkeypatch.setattr(gateway, "run_gateway_conformance", run_gateway_conformance)
    return behind


def test_behind_the_gateway(
    run: Run, outcomes: dict[str, str], behind: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "conformance.json"
    result = run("conformance", "mock", "--gateway", "--out", str(out))
    assert result.exit_code == 0, result.output
    assert "9 of 9" in result.stdout
    figures = json.loads(out.read_text())["providers"]["mock"]
    assert figures["suite_passed"] == 2
    assert figures["through_gateway"]["client_events"] == 11
    assert figures["through_gateway"]["suite_failed"] == 0

    behind["mock"] = "failed"
    result = run("conformance", "mock", "--gateway")
    assert result.exit_code == 1
    name = next(iter(gateway.gateway_checks()))
    assert f"✗ mock through the gateway: {name}: a reason" in result.stdout.replace("\n", " ")


def test_the_table_of_a_page(run: Run, behind: dict[str, str]) -> None:
    behind["mock"] = "refused"
    result = run("conformance", "mock", "openai", "--markdown")
    assert result.exit_code == 0, result.output
    first = next(iter(gateway.gateway_checks().values()))
    assert f"| {first.about.rstrip('.')} | refused | yes |" in result.stdout
    assert f"| mock | `{first.name}` | a reason |" in result.stdout
