"""Runs the checks: each on an event loop, a gateway and a call of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

from voxengine.errors import ConfigurationError
from voxengine.providers.registry import get_provider
from voxengine.testing.conformance.checks import NotOffered
from voxengine.testing.conformance.gateway.case import ROUTE, GatewayCase, serving
from voxengine.testing.conformance.gateway.checks import Declined, GatewayCheck, gateway_checks
from voxengine.testing.conformance.gateway.client import Client
from voxengine.testing.conformance.gateway.report import GatewayReport, GatewayResult
from voxengine.testing.conformance.gateway.stands import Stand, stand_for
from voxengine.testing.conformance.runner import loop_for
from voxengine.testing.oracles.judge import Judge
from voxengine.testing.oracles.openai_realtime import realtime_judge

__all__ = ["run_gateway_check", "run_gateway_conformance"]


def run_gateway_conformance(
    name: str,
    *,
    only: Iterable[str] | None = None,
    on_result: Callable[[GatewayResult], None] | None = None,
) -> GatewayReport:
    """Put the provider that is registered under `name` behind a gateway and check that; returns how it did.

    `only` names checks (or areas) to run; `on_result` is called after each. Not to be called while an event loop runs
    in this thread.

    Raises:
        UnknownProviderError: there is no such provider.
        ConfigurationError: `only` names no check.
        MissingVendorTypesError: the `openai` package, by whose types is judged, is missing.
    """
    get_provider(name)
    stand, judge = stand_for(name), realtime_judge()
    report = GatewayReport(name)
    for check in _chosen(only):
        result = run_gateway_check(check, stand, judge)
        report.results.append(result)
        if on_result is not None:
            on_result(result)
    report.wire = _wire(judge)
    return report


def _wire(judge: Judge) -> dict[str, Any]:
    """What the judge has counted. What the client says wrong, it says on purpose."""
    figures: dict[str, Any] = judge.figures()
    wrong = figures["server_events_sent"] - figures["server_events_valid"]
    return {**figures, "violations": wrong}


def _chosen(only: Iterable[str] | None) -> list[GatewayCheck]:
    checks = gateway_checks()
    if only is None:
        return list(checks.values())
    wanted = set(only)
    unknown = wanted - set(checks) - {c.area for c in checks.values()}
    if unknown:
        raise ConfigurationError(
            f"there is no check {', '.join(sorted(unknown))}; there are {', '.join(checks)}"
        )
    return [c for c in checks.values() if c.name in wanted or c.area in wanted]


def run_gateway_check(check: GatewayCheck, stand: Stand, judge: Judge) -> GatewayResult:
    """Run one check; `judge` counts what goes over the client's wire."""
    start = time.perf_counter()
    outcome, reason = "passed", ""
    try:
        with asyncio.Runner(loop_factory=lambda: loop_for(stand.scenario.virtual)) as runner:
            reason = runner.run(_run(check, stand, judge))
        outcome = "refused" if reason else "passed"
    except Exception as error:  # whatever goes wrong is a result
        kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
        outcome, reason = "failed", f"{kind}{error}"
    seconds = round(time.perf_counter() - start, 3)
    return GatewayResult(
        name=check.name,
        area=check.area,
        about=check.about,
        outcome=outcome,  # type: ignore[arg-type]
        reason=reason,
        seconds=seconds,
    )


async def _run(check: GatewayCheck, stand: Stand, judge: Judge) -> str:
    """The words with which it is refused, "" if it was done."""
    async with serving(stand) as server:
        url = server.url(f"model={ROUTE}")
        async with Client(url, stand.scenario, judge) as client:
            await client.wait("session.created")
            case = GatewayCase(server, client, judge)
            refused = ""
            try:
                await check.function(case)
            except NotOffered as reason:
                refused = str(reason)
            except Declined as declined:
                refused = case.reason(declined.error, check.may_lack)
                await case.alive()
            client.settle()
    return refused
