"""What the call costs while it goes on, and how long it has lasted: tells of it, and keeps both within their limits.

`Limits` decides what follows; this does it. The price lists are read in a thread, once for the process; from then on a
report is priced when it comes, after the application has been told of it. Where nobody listens to `cost_updated`, and
there is no limit of cost, nothing is priced at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from voxengine.audio.sentence import SentenceLike
from voxengine.config import VoiceEngineConfig
from voxengine.errors import SessionClosedError, VoiceEngineError
from voxengine.events import (
    CostUpdated,
    EventBus,
    EventType,
    LimitReached,
    ProviderEvent,
    SystemWarning,
    UsageUpdated,
)
from voxengine.session import effects as fx
from voxengine.session.chain import successor_config
from voxengine.session.core import SessionCore
from voxengine.session.ledger import Ledger, LegUsage
from voxengine.session.leg import Leg
from voxengine.session.limits import Limits, Step

__all__ = ["FINISH", "LINGER", "Bill", "Owner"]

#: Seconds that an answer, or the user, may take to finish before the goodbye.
FINISH = 5.0
#: Seconds that the goodbye may take longer than it plays, where somebody speaks into it.
LINGER = 1.0


class Owner(Protocol):
    """What it needs of the session."""

    config: VoiceEngineConfig
    core: SessionCore

    @property
    def current_leg(self) -> Leg | None:
        """The leg at work, in whatever state."""

    async def switch(self, config: VoiceEngineConfig, when: str, why: str) -> None:
        """Go on with another provider."""

    async def quiet_moment(self, when: str, budget: float) -> bool:
        """Wait for it; whether it came."""

    async def hang_up(self, reason: str) -> None:
        """End the call."""

    def announce(self, what: SentenceLike) -> None:
        """Say something, without a provider."""

    def apply(self, command: fx.Command) -> None:
        """Give the core a command."""

    def show(self, event: ProviderEvent) -> None:
        """Tell the application."""


class Bill:
    """One for each session, as long as that lasts. `now` is the loop's clock."""

    def __init__(
        self, owner: Owner, bus: EventBus, ledger: Ledger, now: Callable[[], float]
    ) -> None:
        config = owner.config
        self._owner = owner
        self._bus = bus
        self._ledger = ledger
        self._now = now
        self._economy = config.economy
        self._goodbye = config.goodbye
        self._limits = Limits(
            config.max_cost, config.max_duration, config.warn_at, self._economy is not None
        )
        self._began = 0.0
        self._timer: asyncio.TimerHandle | None = None
        #: Providers and models of which something was reported that has not been told yet.
        self._reported: dict[tuple[str, str], None] = {}
        self._warned = False
        self._over = False
        self._reading: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None

    # -- the call

    def begin(self) -> None:
        """The call is open: its time runs. What was spent in earlier calls of the same conversation counts."""
        self._began = self._now()
        self._set_timer()
        if not self._ledger.empty:
            self._price()

    def close(self) -> set[asyncio.Task[None]]:
        """The call is over; returns the tasks that have yet to end."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        tasks = {t for t in (self._reading, self._task) if t is not None and not t.done()}
        tasks.discard(asyncio.current_task())
        for task in tasks:
            task.cancel()
        return tasks

    # -- its cost

    def reported(self, event: UsageUpdated) -> None:
        """A provider has reported what it used, and the ledger has it."""
        if self._limits.limited("cost") or self._bus.wanted(EventType.COST_UPDATED):
            self._reported[event.provider, event.model] = None
            self._price()

    def _price(self) -> None:
        if self._reading is not None:
            return  # it will be told then
        if self._ledger.settled:
            self._tell()
        elif not self._over:
            self._reading = self._start(self._read(), "prices")

    async def _read(self) -> None:
        await self._ledger.settle()
        self._reading = None
        self._tell()

    def _tell(self) -> None:
        legs = self._ledger.legs
        cost = self._ledger.cost
        reported, self._reported = self._reported, {}
        meta = self._meta()
        for leg in legs:
            if (leg.provider, leg.model) in reported:
                of_leg = {**meta, "provider": leg.provider}
                self._owner.show(
                    CostUpdated(cost=cost, leg_cost=leg.cost, model=leg.model, **of_leg)
                )
        if self._limits.limited("cost") and not self._over:
            if cost is None:
                self._warn(next(leg for leg in legs if leg.cost is None))
            # What is known of it is the least that it can be.
            self._take(self._limits.used("cost", sum(leg.cost or 0.0 for leg in legs)))

    def _warn(self, leg: LegUsage) -> None:
        if self._warned:
            return
        self._warned = True
        words = (
            f"max_cost cannot be kept, only what has a known price counts: there is none for model {leg.model!r} of "
            f"provider {leg.provider!r}. Price lists come with voxengine[prices]; give your own in `prices`"
        )
        self._owner.show(SystemWarning(code="cost_unknown", message=words, **self._meta()))

    # -- its length

    def _set_timer(self) -> None:
        due = self._limits.next_at("duration")
        self._timer = None
        if due is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._began + due, self._look, due)

    def _look(self, due: float) -> None:
        # A timer may fire a rounding error early.
        self._take(self._limits.used("duration", max(due, self._now() - self._began)))
        self._set_timer()

    # -- what follows

    def _take(self, steps: list[Step]) -> None:
        for step in steps:
            if step.action == "switch":
                config = self._cheaper()
                if config is None:
                    continue
                self._tell_step(step)
                self._task = self._start(self._economise(config), "economy")
            elif step.action == "end":
                self._tell_step(step)
                self._task = self._start(self._end(step, self._task), "limit")
            else:
                self._tell_step(step)

    def _tell_step(self, step: Step) -> None:
        self._owner.show(
            LimitReached(
                limit=step.limit,
                used=round(step.used, 6),
                maximum=step.maximum,
                fraction=step.fraction,
                action=step.action,
                **self._meta(),
            )
        )

    def _cheaper(self) -> VoiceEngineConfig | None:
        """The configuration of the cheaper provider; None if it is at work already, or cannot be made."""
        present = self._owner.config
        assert self._economy is not None, "otherwise there is no such step"
        try:
            config = successor_config(present, self._economy)
        except VoiceEngineError as failure:
            self._not_cheaper(failure)
            return None
        same = (config.provider, config.model) == (present.provider, present.model)
        return None if same else config

    async def _economise(self, config: VoiceEngineConfig) -> None:
        try:
            await self._owner.switch(config, "after_turn", "limit")
        except SessionClosedError:
            return
        except VoiceEngineError as failure:
            self._not_cheaper(failure)

    def _not_cheaper(self, failure: VoiceEngineError) -> None:
        words = f"the cheaper provider could not take over, the present one stays: {failure}"
        self._owner.show(SystemWarning(code="economy_failed", message=words, **self._meta()))

    async def _end(self, step: Step, change: asyncio.Task[None] | None) -> None:
        """Let what is being said come to an end, say goodbye, and end the call."""
        owner = self._owner
        if change is not None and not change.done():
            change.cancel()
            await asyncio.wait([change])
        try:
            if not await owner.quiet_moment("after_turn", FINISH):
                owner.apply(fx.Interrupt())
            owner.announce(self._goodbye)
            plays = owner.core.playout.remaining_ms(self._now()) / 1000
            await owner.quiet_moment("after_turn", plays + LINGER)
        except SessionClosedError:
            return  # somebody was quicker
        await owner.hang_up(f"max_{step.limit}")

    # -- inside

    def _meta(self) -> dict[str, Any]:
        leg = self._owner.current_leg
        return leg.provider.meta() if leg is not None else {}

    @staticmethod
    def _start(work: Coroutine[Any, Any, None], what: str) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(work, name=f"voxengine-{what}")
