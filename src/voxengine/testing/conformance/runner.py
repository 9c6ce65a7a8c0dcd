"""Runs the checks: each on an event loop of its own, with a provider of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from voxengine.errors import ConfigurationError
from voxengine.providers.base import BaseProvider
from voxengine.providers.registry import create_provider, get_provider
from voxengine.testing.clock import VirtualClockLoop
from voxengine.testing.conformance.case import SECRET, Case, merged
from voxengine.testing.conformance.checks import Check, NotOffered, all_checks
from voxengine.testing.conformance.report import CheckResult, ConformanceReport
from voxengine.testing.conformance.scenario import Scenario, scenario_for

__all__ = ["conformance_tests", "loop_for", "run_check", "run_conformance"]

#: Virtual and real seconds after which a check is given up.
_MAX_VIRTUAL = 3600.0
_MAX_REAL = 120.0


def run_conformance(
    name: str,
    config: Mapping[str, Any] | None = None,
    *,
    scenario: Scenario | None = None,
    only: Iterable[str] | None = None,
    on_result: Callable[[CheckResult], None] | None = None,
) -> ConformanceReport:
    """Check the provider that is registered under `name`; returns how it did.

    `only` names checks (or areas) to run; `on_result` is called after each, to show progress. Not to be called while an
    event loop runs in this thread.

    Raises:
        UnknownProviderError: there is no such provider.
        ConfigurationError: `only` names no check.
    """
    get_provider(name)
    scenario = scenario or scenario_for(name)
    report = ConformanceReport(name)
    for check in _chosen(only):
        result = _timed(check, name, config or {}, scenario)
        report.results.append(result)
        if on_result is not None:
            on_result(result)
    if scenario.vendor is not None:
        report.wire = scenario.vendor.figures()
    return report


def _chosen(only: Iterable[str] | None) -> list[Check]:
    checks = all_checks()
    if only is None:
        return list(checks.values())
    wanted = set(only)
    unknown = wanted - set(checks) - {c.area for c in checks.values()}
    if unknown:
        raise ConfigurationError(
            f"there is no check {', '.join(sorted(unknown))}; there are {', '.join(checks)}"
        )
    return [c for c in checks.values() if c.name in wanted or c.area in wanted]


def _timed(check: Check, name: str, config: Mapping[str, Any], scenario: Scenario) -> CheckResult:
    start = time.perf_counter()
    try:
        run_check(check, name, config, scenario)
        outcome = CheckResult(check.name, check.area, check.about, "passed")
    except NotOffered as reason:
        outcome = CheckResult(check.name, check.area, check.about, "skipped", str(reason))
    except Exception as error:  # whatever a provider raises is a result
        kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
        outcome = CheckResult(check.name, check.area, check.about, "failed", f"{kind}{error}")
    return _with_seconds(outcome, time.perf_counter() - start)


def _with_seconds(result: CheckResult, seconds: float) -> CheckResult:
    return CheckResult(
        result.name, result.area, result.about, result.outcome, result.reason, round(seconds, 3)
    )


def run_check(check: Check, name: str, config: Mapping[str, Any], scenario: Scenario) -> None:
    """Run one check.

    Raises:
        ConformanceFailure: the provider fails it. What the provider raises itself comes through as it is.
        NotOffered: it does not apply to this provider.
    """

    async def main() -> None:
        async with AsyncExitStack() as stack:
            found: Mapping[str, Any] = {}
            if scenario.vendor is not None:
                found = await stack.enter_async_context(scenario.vendor.open())

            def make(settings: dict[str, Any]) -> BaseProvider:
                settings = merged({"api_key": SECRET}, scenario.config, found, config, settings)
                return create_provider(name, settings)

            _applies(check, make({}))
            case = Case(make, scenario)
            stack.push_async_callback(case.close)
            await check.function(case)

    with asyncio.Runner(loop_factory=lambda: loop_for(scenario.virtual)) as runner:
        runner.run(main())


def loop_for(virtual: bool) -> asyncio.AbstractEventLoop:
    """A loop to check on, with a virtual clock or the real one."""
    if virtual:
        return VirtualClockLoop(max_virtual=_MAX_VIRTUAL, max_real=_MAX_REAL)
    return asyncio.new_event_loop()


def _applies(check: Check, provider: BaseProvider) -> None:
    for feature in check.needs:
        if not provider.supports_feature(feature):
            raise NotOffered(f"its capabilities have no {feature}")
    for feature in check.lacks:
        if provider.supports_feature(feature):
            raise NotOffered(f"its capabilities have {feature}")


def conformance_tests(
    name: str,
    config: Mapping[str, Any] | None = None,
    *,
    scenario: Scenario | None = None,
    only: Iterable[str] | None = None,
) -> Any:
    """A decorator that makes one pytest test of each check.

    The test function calls what it is given:

        @conformance_tests("acme", {"endpoint": "ws://..."})
        def test_acme(check):
            check()

    A check that does not apply is skipped, with the reason.
    """
    import pytest

    def runs(check: Check) -> Callable[[], None]:
        def run() -> None:
            try:
                run_check(check, name, config or {}, scenario or scenario_for(name))
            except NotOffered as reason:
                pytest.skip(str(reason))

        return run

    return pytest.mark.parametrize(
        "check", [pytest.param(runs(c), id=c.name) for c in _chosen(only)]
    )
