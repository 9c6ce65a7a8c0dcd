"""How a provider did behind the gateway, and the table of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from voxengine.testing.conformance.gateway.checks import gateway_checks

__all__ = ["GatewayReport", "GatewayResult", "table_of"]

_SIGNS = {"passed": "yes", "refused": "refused", "failed": "**no**"}


class GatewayResult(msgspec.Struct, frozen=True):
    """How one check went. `reason` says why it failed, or with what words the gateway refuses."""

    name: str
    area: str
    about: str
    outcome: Literal["passed", "refused", "failed"]
    reason: str = ""
    #: Real seconds that it took.
    seconds: float = 0.0


class GatewayReport(msgspec.Struct):
    """All results of one provider."""

    provider: str
    results: list[GatewayResult] = []
    #: What the judge of the client's connections has counted.
    wire: dict[str, Any] = {}

    def __iter__(self) -> Iterator[GatewayResult]:
        return iter(self.results)

    def __getitem__(self, name: str) -> GatewayResult:
        return next(result for result in self.results if result.name == name)

    def of(self, outcome: str) -> list[GatewayResult]:
        """The results of one kind."""
        return [result for result in self.results if result.outcome == outcome]

    @property
    def ok(self) -> bool:
        """Whether none failed, some passed, and nothing that was told was invalid."""
        told = self.wire.get("server_events_sent", 0) == self.wire.get("server_events_valid", 0)
        return told and not self.of("failed") and bool(self.of("passed"))

    def figures(self) -> dict[str, Any]:
        """The counts, and the reasons, as JSON can hold them."""
        return {
            **self.wire,
            "suite_passed": len(self.of("passed")),
            "suite_failed": len(self.of("failed")),
            "suite_refused": len(self.of("refused")),
            "passed": [r.name for r in self.of("passed")],
            "failed": {r.name: r.reason for r in self.of("failed")},
            "refused": {r.name: r.reason for r in self.of("refused")},
        }

    def __str__(self) -> str:
        counts = ", ".join(f"{len(self.of(kind))} {kind}" for kind in _SIGNS)
        lines = [f"{self.provider} through the gateway: {counts}"]
        lines += [f"  FAILED  {r.name}: {r.reason}" for r in self.of("failed")]
        lines += [f"  refused {r.name}: {r.reason}" for r in self.of("refused")]
        return "\n".join(lines)


def table_of(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """The results of some providers, as `GatewayReport.figures` gives them, as tables in Markdown."""
    names = list(figures)
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    counts = (
        ("passed", "suite_passed"),
        ("refused", "suite_refused"),
        ("failed", "suite_failed"),
        ("types of client events sent", "client_events"),
    )
    for words, field in counts:
        lines.append(_row(words, [str(figures[name].get(field, 0)) for name in names]))
    area = ""
    for check in gateway_checks().values():
        if check.area != area:
            area = check.area
            lines.append(_row(f"**{area}**", [""] * len(names)))
        cells = [_SIGNS[outcome_of(figures[name], check.name)] for name in names]
        lines.append(_row(check.about.rstrip("."), cells))
    return "\n".join([*lines, "", *_refusals(figures)]).rstrip() + "\n"


def outcome_of(figures: Mapping[str, Any], check: str) -> str:
    """How a check went, by the figures of a provider; one that was not run counts as failed."""
    if check in figures["passed"]:
        return "passed"
    return "refused" if check in figures["refused"] else "failed"


def _row(first: str, cells: list[str]) -> str:
    return f"| {first} | {' | '.join(cells)} |"


def _refusals(figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Which provider refuses what, with the words of the error."""
    lines = ["| provider | refuses | why |", "|---|---|---|"]
    for name, found in figures.items():
        for check, words in found["refused"].items():
            lines.append(f"| {name} | `{check}` | {words} |")
    return lines if len(lines) > 2 else []
