"""How a provider did."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

__all__ = ["CheckResult", "ConformanceReport", "Outcome"]

Outcome = Literal["passed", "failed", "skipped"]


class CheckResult(msgspec.Struct, frozen=True):
    """How one check went. `reason` says why it failed, or why it does not apply."""

    name: str
    area: str
    about: str
    outcome: Outcome
    reason: str = ""
    #: Real seconds that it took.
    seconds: float = 0.0


class ConformanceReport(msgspec.Struct):
    """All results of one provider."""

    provider: str
    results: list[CheckResult] = []
    #: What went over the wire to an emulator, and what its judge found: `client_events` (how many types were sent),
    #: `server_events_sent`, `server_events_valid`, `oracle`. Empty where there was none.
    wire: dict[str, Any] = {}

    def __iter__(self) -> Iterator[CheckResult]:
        return iter(self.results)

    def __getitem__(self, name: str) -> CheckResult:
        return next(result for result in self.results if result.name == name)

    def of(self, outcome: Outcome) -> list[CheckResult]:
        """The results of one kind."""
        return [result for result in self.results if result.outcome == outcome]

    @property
    def passed(self) -> int:
        """How many checks passed."""
        return len(self.of("passed"))

    @property
    def failed(self) -> int:
        """How many failed."""
        return len(self.of("failed"))

    @property
    def skipped(self) -> int:
        """How many do not apply."""
        return len(self.of("skipped"))

    @property
    def ok(self) -> bool:
        """Whether none failed, some passed, and nothing on the wire was wrong."""
        return not self.failed and self.passed > 0 and not self.wire.get("violations")

    def figures(self) -> dict[str, Any]:
        """The counts, and the reasons of what failed or was skipped, as JSON can hold them."""
        return {
            **self.wire,
            "suite_passed": self.passed,
            "suite_failed": self.failed,
            "suite_skipped": self.skipped,
            "failed": {r.name: r.reason for r in self.of("failed")},
            "skipped": {r.name: r.reason for r in self.of("skipped")},
        }

    def __str__(self) -> str:
        lines = [
            f"{self.provider}: {self.passed} passed, {self.failed} failed, {self.skipped} skipped"
        ]
        lines += [f"  FAILED  {r.name}: {r.reason}" for r in self.of("failed")]
        lines += [f"  skipped {r.name}: {r.reason}" for r in self.of("skipped")]
        lines += [f"  WIRE    {words}" for words in self.wire.get("wrong", ())]
        return "\n".join(lines)
