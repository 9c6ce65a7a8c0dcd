"""How far a call may go: the policy, without I/O or a clock.

It is told what is used, in US dollars and in seconds, and answers with what follows. Each step is taken once in a call:
the warnings; then, of the cost, a change to a cheaper provider, where there is one, at `SWITCH_AT`; at the limit, the
end. After the end nothing follows any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

__all__ = ["SWITCH_AT", "Limit", "Limits", "Step"]

#: The part of the cost at which a cheaper provider takes over: the rest pays for the change, and for going on.
SWITCH_AT = 0.9

Limit: TypeAlias = Literal["cost", "duration"]
Action: TypeAlias = Literal["warn", "switch", "end"]


class Step(msgspec.Struct, frozen=True):
    """What is to be done at a part of a limit. `used` and `maximum` are US dollars or seconds."""

    limit: Limit
    action: Action
    fraction: float
    used: float
    maximum: float


class Limits:
    """The limits of one call. None: there is none."""

    def __init__(
        self,
        max_cost: float | None = None,
        max_duration: float | None = None,
        warn_at: Sequence[float] = (0.8,),
        economy: bool = False,
    ) -> None:
        self._maximum: dict[Limit, float] = {}
        #: The steps that have not been taken, by their part of the limit.
        self._ahead: dict[Limit, list[tuple[float, Action]]] = {"cost": [], "duration": []}
        warnings: list[tuple[float, Action]] = [(part, "warn") for part in sorted(warn_at)]
        if max_cost is not None:
            self._maximum["cost"] = max_cost
            change: list[tuple[float, Action]] = [(SWITCH_AT, "switch")] if economy else []
            # The sort is stable: who is warned at the same part is warned first.
            self._ahead["cost"] = [*sorted(warnings + change, key=_part), (1.0, "end")]
        if max_duration is not None:
            self._maximum["duration"] = max_duration
            self._ahead["duration"] = [*warnings, (1.0, "end")]

    def limited(self, limit: Limit) -> bool:
        """Whether there is such a limit, and it may still have a consequence."""
        return bool(self._ahead[limit])

    def used(self, limit: Limit, used: float) -> list[Step]:
        """So much is used by now: the steps that follow, in order."""
        ahead = self._ahead[limit]
        steps: list[Step] = []
        while ahead and used >= ahead[0][0] * self._maximum[limit]:
            part, action = ahead.pop(0)
            steps.append(Step(limit, action, part, used, self._maximum[limit]))
        if steps and steps[-1].action == "end":
            for rest in self._ahead.values():
                rest.clear()
            # It was passed in one go: there is nothing to change to any more.
            steps = [step for step in steps if step.action != "switch"]
        return steps

    def next_at(self, limit: Limit) -> float | None:
        """How much has to be used for the next step; None if there is none."""
        ahead = self._ahead[limit]
        return ahead[0][0] * self._maximum[limit] if ahead else None


def _part(step: tuple[float, Action]) -> float:
    return step[0]
