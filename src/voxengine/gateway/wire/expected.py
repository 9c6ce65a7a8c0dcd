"""A response that a provider is about to begin by itself, though it was its client that asked for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from voxengine.gateway.wire.plan import Plan

__all__ = ["BUDGET", "Expected"]

#: Seconds for which it is waited for: the provider has to hear the turn first.
BUDGET = 30.0


class Expected:
    """At most one of one client's. `give_up` is told of one that has not come."""

    def __init__(self, give_up: Callable[[Plan], None]) -> None:
        self._give_up = give_up
        self._plan: Plan | None = None
        self._begun: Plan | None = None
        self._over: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def due(self) -> bool:
        """Whether one is waited for."""
        return self._plan is not None

    def begin(self, plan: Plan) -> asyncio.Future[None]:
        """Wait for one; returns what is done when it has ended, or did not come."""
        self.close()
        loop = asyncio.get_running_loop()
        self._plan, self._over = plan, loop.create_future()
        self._timer = loop.call_later(BUDGET, self._too_late)
        return self._over

    def take(self) -> Plan | None:
        """A response has begun: it is this one, if one is waited for."""
        plan, self._plan = self._plan, None
        self._stop_timer()
        if plan is not None:
            self._begun = plan
        return plan

    def ended(self, plan: Plan) -> None:
        """A response of this plan has ended."""
        if self._begun is plan:
            self.close()

    def close(self) -> None:
        """It is waited for no longer."""
        self._stop_timer()
        self._plan = self._begun = None
        over, self._over = self._over, None
        if over is not None and not over.done():
            over.set_result(None)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        plan = self._plan
        self.close()
        if plan is not None:
            self._give_up(plan)
