"""Going over to another provider: who is tried, in which order, and what is kept ready for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Protocol

from voxengine.config import VoiceEngineConfig
from voxengine.errors import (
    ProviderError,
    ProvidersExhaustedError,
    RateLimitError,
    VoiceEngineError,
)
from voxengine.events import ProviderEvent, SystemWarning
from voxengine.session.chain import Candidate, Chain
from voxengine.session.core import SessionCore
from voxengine.session.leg import Leg
from voxengine.session.recovery import code_of

__all__ = ["Failover", "Owner", "Successor"]

#: Seconds before all providers are tried once more, when all have failed.
ROUND_PAUSE = 0.5
#: Seconds before a standby that was lost, or could not be opened, is opened anew; twice as long each time.
STANDBY_PAUSE = 5.0
LONGEST_PAUSE = 120.0
#: Seconds between two looks at whether the first choice works again, and for which a quiet moment is waited for then.
RETURN_LOOK = 15.0
QUIET_WITHIN = 120.0
#: Seconds before its longest time at which a standby is replaced.
STANDBY_MARGIN = 60.0


class Owner(Protocol):
    """What it needs of the session."""

    config: VoiceEngineConfig
    core: SessionCore

    def successor(self, config: VoiceEngineConfig) -> Leg:
        """A leg of another provider, which is not open yet."""

    async def open_leg(self, leg: Leg, budget: float | None) -> None:
        """Connect it, and tell it the conversation."""

    async def quiet_moment(self, when: str, budget: float) -> bool:
        """Wait for it; whether it came."""

    def show(self, event: ProviderEvent) -> None:
        """Tell the application."""


class Successor:
    """A leg that is open, and where it comes from."""

    __slots__ = ("attempts", "candidate", "leg")

    def __init__(self, candidate: Candidate, leg: Leg, attempts: int = 1) -> None:
        self.candidate = candidate
        self.leg = leg
        self.attempts = attempts


class Failover:
    """One for each session that has a chain of providers. `retire` closes a leg that is not wanted."""

    def __init__(
        self, owner: Owner, chain: Chain, now: Callable[[], float], retire: Callable[[Leg], None]
    ) -> None:
        self.chain = chain
        self._owner = owner
        self._now = now
        self._retire = retire
        self._standby: Successor | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._returner: asyncio.Task[None] | None = None

    # -- what the policy asks

    @property
    def possible(self) -> bool:
        """Whether there is another provider that may be tried."""
        return self._ready() is not None or self.chain.has_other(self._owner.config, self._now())

    @property
    def others(self) -> bool:
        """Whether there is another provider at all, be it one that has just failed another call."""
        return len(self.chain) > 1

    @property
    def standby_ready(self) -> bool:
        """Whether another provider is connected already."""
        return self._ready() is not None

    def patience(self) -> float | None:
        """Seconds that the provider at work has to come back; None if there is nobody else."""
        return self._owner.config.failover_after if self.possible else None

    def worked(self) -> None:
        """Something of the conversation has come over the leg at work."""
        self.chain.breaker(self._owner.config).worked()

    def give_up(self, code: str, retry_after: float | None = None) -> None:
        """The provider at work is left."""
        self.chain.breaker(self._owner.config).failed(self._now(), code, retry_after)

    # -- who comes next

    async def first(self) -> Successor:
        """The first provider that can be connected at the beginning of a call.

        Raises:
            ProviderError: none can; it is the error of the first that was tried, with those of the others as notes.
        """
        current = self._owner.config
        chain = [self.chain.candidate(0, current), *self.chain.others(current)]
        allowed = [c for c in chain if c.breaker.allows(self._now())] or chain
        return await self._walk(iter(allowed), more=len(allowed) > 1)

    async def next(self, deadline: float) -> Successor:
        """Another than the one at work. All are tried again until the deadline, of the loop's clock.

        Raises:
            ProvidersExhaustedError: none of them can be connected.
        """
        ready = self._take_standby()
        if ready is not None:
            return ready
        others = list(self.chain.others(self._owner.config))
        allowed = [c for c in others if c.breaker.allows(self._now())] or others
        while True:
            try:
                return await self._walk(iter(allowed), more=len(allowed) > 1)
            except VoiceEngineError as failure:
                if self._now() + ROUND_PAUSE >= deadline:
                    raise ProvidersExhaustedError(
                        f"no provider is left: {_with_notes(failure)}",
                        provider=self._owner.config.provider,
                    ) from failure
            await asyncio.sleep(ROUND_PAUSE)
            # The one at work may have come back as well.
            allowed = [*others, self.chain.candidate(self.chain.place, self._owner.config)]

    async def _walk(self, candidates: Iterator[Candidate], more: bool) -> Successor:
        first: VoiceEngineError | None = None
        for attempts, candidate in enumerate(candidates, 1):
            candidate.breaker.trying(self._now())
            leg: Leg | None = None
            try:
                leg = self._owner.successor(candidate.config)
                # Models that have to be loaded take their time; where there is a network, the next may be quicker.
                patience = candidate.config.failover_after if more else None
                budget = None if leg.provider.load_timeout else patience
                await self._owner.open_leg(leg, budget)
            except asyncio.CancelledError:
                if leg is not None:
                    self._retire(leg)
                raise
            except VoiceEngineError as failure:
                if isinstance(failure, ProviderError):  # else it is about the settings
                    pause = failure.retry_after if isinstance(failure, RateLimitError) else None
                    candidate.breaker.failed(self._now(), code_of(failure), pause)
                if first is None:
                    first = failure
                else:
                    first.add_note(f"then {candidate.name}: {failure}")
                continue
            return Successor(candidate, leg, attempts)
        raise first or ProvidersExhaustedError("no other provider may be tried at present")

    # -- after a change

    def settled(self) -> None:
        """A leg has begun to work: what is kept ready for the next change is made for that."""
        self.stop()
        config = self._owner.config
        if config.warm_standby and len(self.chain) > 1:
            self._keeper = self._task(self._keep(), "standby")
        if config.return_to_primary and self.chain.place:
            self._returner = self._task(self._return(), "return")

    def changed(self) -> None:
        """The application has changed settings: what is kept ready, and cannot be told so, is opened anew."""
        standby = self._standby
        if standby is None or not self._outdated(standby):
            return
        self._standby = None
        self._retire(standby.leg)
        if self._keeper is not None:
            self._keeper.cancel()
        self._keeper = self._task(self._keep(), "standby")

    def _outdated(self, successor: Successor) -> bool:
        """Whether it has other instructions than those of today, for good."""
        if successor.leg.provider.capabilities.instructions_updatable:
            return False
        today = self.chain.candidate(successor.candidate.place, self._owner.config).config
        return successor.leg.config.instructions != today.instructions

    def stop(self) -> list[asyncio.Task[None]]:
        """Keep nothing ready any more; returns the tasks that have yet to end."""
        tasks = [t for t in (self._keeper, self._returner) if t is not None]
        self._keeper = self._returner = None
        tasks = [t for t in tasks if t is not asyncio.current_task() and not t.done()]
        for task in tasks:
            task.cancel()
        standby, self._standby = self._standby, None
        if standby is not None:
            self._retire(standby.leg)
        return tasks

    #: Is called with a leg of the first choice, at a quiet moment.
    on_return: Callable[[Successor], None]

    def _ready(self) -> Successor | None:
        standby = self._standby
        return standby if standby is not None and standby.leg.lost is None else None

    def _take_standby(self) -> Successor | None:
        ready, self._standby = self._ready(), None
        return ready

    async def _keep(self) -> None:
        pause = STANDBY_PAUSE
        while True:
            standby = await self._open_standby()
            if standby is None:
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE, pause * 2)
                continue
            if self._outdated(standby):
                self._retire(standby.leg)
                continue
            self._standby = standby
            limit = standby.leg.provider.capabilities.max_connection_seconds
            lasts = None if limit is None else max(limit / 2, limit - STANDBY_MARGIN)
            try:
                async with asyncio.timeout(lasts):
                    await standby.leg.gone.wait()
                await asyncio.sleep(pause)
            except TimeoutError:
                pause = STANDBY_PAUSE
            if self._standby is standby:
                self._standby = None
                self._retire(standby.leg)

    async def _open_standby(self) -> Successor | None:
        for candidate in self.chain.others(self._owner.config):
            if not candidate.breaker.allows(self._now()):
                continue
            leg = self._owner.successor(candidate.config)
            if leg.provider.capabilities.history in ("at_start", "prompt"):
                words = f"{candidate.name} is told the conversation when it is connected: it cannot be kept ready"
                self._owner.show(SystemWarning(code="no_standby", message=words))
                continue
            try:
                await self._owner.open_leg(leg, None)
            except asyncio.CancelledError:
                self._retire(leg)
                raise
            except VoiceEngineError as failure:
                candidate.breaker.failed(self._now(), code_of(failure))
                continue
            return Successor(candidate, leg)
        return None

    async def _return(self) -> None:
        while True:
            await asyncio.sleep(RETURN_LOOK)
            primary = self.chain.candidate(0, self._owner.config)
            if not primary.breaker.allows(self._now()):
                continue
            try:
                successor = await self._walk(iter([primary]), more=False)
            except VoiceEngineError:
                continue
            leg = successor.leg
            try:
                quiet = await self._owner.quiet_moment("after_turn", QUIET_WITHIN)
            except asyncio.CancelledError:
                self._retire(leg)
                raise
            if not quiet or leg.lost is not None or self._outdated(successor):
                self._retire(leg)
                continue
            self._returner = None
            self.on_return(successor)
            return

    @staticmethod
    def _task(work: asyncio._CoroutineLike[None], what: str) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(work, name=f"voxengine-{what}")


def _with_notes(failure: Exception) -> str:
    return "; ".join([str(failure), *getattr(failure, "__notes__", ())])
