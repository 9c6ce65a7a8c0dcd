"""Keeps a session connected: opens another connection when the present one is lost, and before it would be ended.

What to try when is decided by `Recovery`, by `Failover` where there are other providers, and, in the core, by
`Rotation`; this is the task that does it. At most one is under way. A connection that is not needed any more is closed
beside all else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import msgspec

from voxengine.config import VoiceEngineConfig
from voxengine.errors import (
    ConnectionError,
    ProvidersExhaustedError,
    SessionClosedError,
    VoiceEngineError,
)
from voxengine.events import ConnectionLost, ConnectionReconnecting, SystemWarning
from voxengine.session import effects as fx
from voxengine.session.chain import Chain
from voxengine.session.failover import Failover, Successor
from voxengine.session.failover import Owner as FailoverOwner
from voxengine.session.leg import Leg
from voxengine.session.recovery import Attempt, GiveUp, Recovery, Step

__all__ = ["Change", "Continuity", "Owner"]

#: The reasons of a change of connections that was planned.
ROTATION = "rotation"
RENEWAL = "memory"
#: Codes of a loss that this call has brought about itself: another provider is not given the same.
OWN_FAULT = frozenset({"content_filter"})


class Change(msgspec.Struct, frozen=True):
    """Another provider takes over: its configuration, why (as in `ProviderSwitched`), and the code of a failure."""

    config: VoiceEngineConfig
    why: str
    code: str = ""


class Owner(FailoverOwner, Protocol):
    """What the task needs of the session."""

    @property
    def current_leg(self) -> Leg | None:
        """The leg at work, in whatever state."""

    def stand_in(self, anew: bool = False) -> Leg:
        """Another leg of the same provider, which is not open yet; `anew`: which does not resume the session."""

    async def open_stand_in(self, leg: Leg, budget: float | None) -> None:
        """Connect it, and tell it the conversation."""

    def take_over(
        self, leg: Leg, reason: str, attempts: int, outage_ms: float, change: Change | None = None
    ) -> None:
        """Let it be the leg at work; `change`: of another provider."""

    def apologise(self) -> None:
        """Tell the user that nobody is left."""

    def apply(self, command: fx.Command) -> None:
        """Give the core a report."""


class Continuity:
    """One for each session, as long as that lasts."""

    def __init__(
        self, owner: Owner, recovery: Recovery, chain: Chain, now: Callable[[], float]
    ) -> None:
        self._owner = owner
        self.failover = Failover(owner, chain, now, self.retire)
        self.failover.on_return = self._returned
        self._recovery = recovery
        self._now = now
        self._task: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        #: What came of the outage: None, or why the connection was not restored.
        self._outcome: asyncio.Future[VoiceEngineError | None] | None = None
        self._lost: ConnectionLost | None = None

    def connected(self) -> None:
        """A connection was opened by the application's wish; what was under way here is of no use any more."""
        self._stop_task()
        self._recovery.connected(self._now(), anew=True)
        self.failover.settled()

    def begin_chain(self, chain: Chain) -> None:
        """The application has chosen another provider, with its own fallbacks."""
        self.failover.stop()
        self.failover.chain = chain

    # -- an outage

    def lost(self, leg: Leg, event: ConnectionLost) -> None:
        """The leg at work is lost, and the core waits for another."""
        self._stop_task()
        self._lost = event
        self._outcome = asyncio.get_running_loop().create_future()
        why = event.error or event.reason or event.code
        failover = self.failover
        self._recovery.patience = failover.patience()
        step = self._recovery.lost(self._now(), leg.worked, event.code, why, event.retryable)
        if failover.standby_ready:
            step = GiveUp(event.code, why)
        own_fault = event.code in OWN_FAULT
        if isinstance(step, GiveUp) and (own_fault or not failover.others):
            if not own_fault:
                failover.give_up(step.code)
            self._give_up(step)
        else:
            self.retire(leg)
            self._start(self._recover(step, event.code), "reconnect")

    async def outcome(self) -> None:
        """Wait until the outage is over.

        Raises:
            ConnectionError: it does not end well.
            SessionClosedError: the session was closed.
        """
        if self._outcome is not None:
            failure = await asyncio.shield(self._outcome)
            if failure is not None:
                raise failure

    def overtake(self) -> tuple[int, float]:
        """The application goes on with another provider: attempts and milliseconds of outage so far."""
        self._stop_task()
        outage, attempts = self._recovery.restored(self._now()), self._recovery.attempts
        self._recovery.connected(self._now(), anew=True)
        return attempts, outage * 1000

    @property
    def busy(self) -> bool:
        """Whether another connection is being opened here, to take over."""
        return self._task is not None

    def replaced(self) -> None:
        """Another connection, which was there all the time, is at work: what was under way is of no use any more."""
        self._stop_task()
        self._recovery.connected(self._now(), anew=True)

    def settled(self, failure: VoiceEngineError | None = None) -> None:
        """There is a connection again, or there will be none."""
        if self._outcome is not None and not self._outcome.done():
            self._outcome.set_result(failure)

    async def _recover(self, step: Step, code: str) -> None:
        while isinstance(step, Attempt):
            self._tell(step)
            if step.delay:
                await asyncio.sleep(step.delay)
            leg: Leg | None = None
            try:
                leg = self._owner.stand_in()
                await self._owner.open_stand_in(leg, step.deadline - self._now())
                leg.check()
            except asyncio.CancelledError:
                if leg is not None:
                    self.retire(leg)
                raise
            except Exception as failure:
                was_open = leg is not None and leg.lost is not None
                step = self._recovery.failed(self._now(), failure, was_open)
                continue
            self._task = None  # what follows may be lost again, and begin another
            attempts, outage = self._recovery.attempts, self._recovery.restored(self._now())
            self._owner.take_over(leg, code, attempts, outage * 1000)
            return
        self.failover.give_up(step.code)
        nobody: ProvidersExhaustedError | None = None
        if self.failover.others:
            try:
                successor = await self.failover.next(self._recovery.deadline)
            except ProvidersExhaustedError as exhausted:
                nobody = exhausted
            else:
                self._go_over(successor, "failover", step.code)
                return
        self._task = None
        self._give_up(step, nobody)

    def _go_over(self, successor: Successor, why: str, code: str = "") -> None:
        """Another provider takes over, during an outage or instead of one that is still there."""
        owner, leg = self._owner, successor.leg
        self._task = None
        attempts, outage = successor.attempts, 0.0
        if owner.core.recovering:
            attempts += self._recovery.attempts
            outage = self._recovery.restored(self._now()) * 1000
        else:
            self._recovery.connected(self._now(), anew=True)
        old = owner.current_leg
        # It may have been made ready some time ago: with the settings of then.
        today = self.failover.chain.candidate(successor.candidate.place, owner.config)
        self.failover.chain.place = today.place
        owner.take_over(leg, code or why, attempts, outage, Change(today.config, why, code))
        if old is not None:
            self.retire(old)
        self.failover.settled()

    # -- a provider that is there, and does not do its work

    def fail_over(self, code: str, reason: str) -> None:
        """Another one is to take over, if there is one."""
        if self._task is None and self.failover.possible:
            self._start(self._abandon(code), "failover")
        else:
            self._owner.apply(fx.FailOverFailed())

    async def _abandon(self, code: str) -> None:
        owner = self._owner
        self.failover.give_up(code)
        try:
            successor = await self.failover.next(self._now())
        except ProvidersExhaustedError:
            self._task = None
            owner.apply(fx.FailOverFailed())
            return
        if not owner.core.failing_over or owner.core.recovering:
            self._task = None  # it has answered after all
            self.retire(successor.leg)
            return
        self._go_over(successor, "failover", code)

    def _returned(self, successor: Successor) -> None:
        """The first choice works again."""
        if self._task is None and self._owner.core.connected:
            self._go_over(successor, "return")
        else:
            self.retire(successor.leg)
            self.failover.settled()

    def _tell(self, step: Attempt) -> None:
        old = self._owner.current_leg
        self._owner.show(
            ConnectionReconnecting(
                attempt=step.number,
                delay_s=round(step.delay, 3),
                code=step.code,
                reason=step.reason,
                **(old.provider.meta() if old is not None else {}),
            )
        )

    def _give_up(self, step: GiveUp, failure: ProvidersExhaustedError | None = None) -> None:
        name = self._owner.core.provider
        self.failover.stop()
        error: ConnectionError = failure or ConnectionError(
            f"the connection to provider {name!r} is lost: {step.reason}",
            provider=name,
            code=step.code,
            retryable=False,
        )
        reason = step.reason if failure is None else f"{step.reason}; {failure}"
        self._owner.apply(fx.GaveUp(error.code, reason, error))
        self.settled(error)
        self._owner.apologise()

    # -- a planned change

    def rotate(self) -> None:
        """Another connection is to take over from the leg at work, which is all right."""
        if self._task is None:
            self._start(self._rotate(), "rotate")
        else:
            self._owner.apply(fx.RotationFailed(busy=True))

    def renew(self) -> None:
        """As `rotate`, by a connection that is told the log as it stands, because this one remembers another."""
        if self._task is None:
            self._start(self._renew(), "renew")
        else:
            self._owner.apply(fx.RenewalFailed(busy=True))

    async def renewed(self, budget: float) -> None:
        """Wait so many seconds for a connection that is about to take over because this one knows other things."""
        task = self._task
        if task is not None and self._owner.core.renewing:
            await asyncio.wait({task}, timeout=budget)

    async def _rotate(self) -> None:
        leg = await self._fresh(anew=False)
        core, self._task = self._owner.core, None
        if leg is None:
            self._owner.apply(fx.RotationFailed())
        elif core.rotation is None or not core.rotation.fits(
            self._now(), core.quiet, core.answering
        ):
            self.retire(leg)
            self._owner.apply(fx.RotationFailed(busy=True))
        else:
            self._replace(leg, ROTATION)

    async def _renew(self) -> None:
        core = self._owner.core
        before = [(item.id, item.text) for item in core.conversation]
        leg = await self._fresh(anew=True)
        self._task = None
        if leg is None:
            self._owner.apply(fx.RenewalFailed())
            return
        # One that is told the log with the connection knows nothing of what has changed since.
        early = leg.provider.capabilities.history in ("at_start", "prompt")
        changed = early and before != [(item.id, item.text) for item in core.conversation]
        if changed or core.user_speaking or core.answering:
            self.retire(leg)
            self._owner.apply(fx.RenewalFailed(busy=True))
        else:
            self._replace(leg, RENEWAL)

    async def _fresh(self, anew: bool) -> Leg | None:
        """Another connection of the same provider; None, and a warning, if it cannot be opened."""
        owner = self._owner
        old = owner.current_leg
        leg: Leg | None = None
        try:
            leg = owner.stand_in(anew)
            await owner.open_stand_in(leg, None)
            if old is not None:
                await old.outbox.flush()
            leg.check()
        except VoiceEngineError as failure:
            if leg is not None:
                self.retire(leg)
            words = f"a fresh connection could not be opened, the present one is kept: {failure}"
            meta = old.provider.meta() if old is not None else {}
            owner.show(SystemWarning(code="rotation_failed", message=words, **meta))
            return None
        except BaseException:
            if leg is not None:
                self.retire(leg)
            raise
        return leg

    def _replace(self, leg: Leg, reason: str) -> None:
        old = self._owner.current_leg
        self._recovery.connected(self._now())
        self._owner.take_over(leg, reason, 1, 0.0)
        if old is not None:
            self.retire(old)

    # -- tasks

    def _start(self, work: Coroutine[Any, Any, None], what: str) -> None:
        self._task = asyncio.get_running_loop().create_task(work, name=f"voxengine-{what}")

    def _stop_task(self) -> None:
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    def retire(self, leg: Leg) -> None:
        """Close a leg that is not needed any more."""
        self._leave(leg).add_done_callback(self._leaving.discard)

    async def leave(self, leg: Leg) -> None:
        """As `retire`, and wait for it. It is done also if whoever waits for it is cancelled."""
        task = self._leave(leg)
        task.add_done_callback(self._leaving.discard)
        await asyncio.shield(task)

    def _leave(self, leg: Leg) -> asyncio.Task[None]:
        leg.retired = True
        task = asyncio.get_running_loop().create_task(
            leg.close(quiet=True), name="voxengine-retire"
        )
        self._leaving.add(task)
        return task

    def close(self) -> set[asyncio.Task[None]]:
        """The session ends; returns the tasks that have yet to."""
        self._stop_task()
        self.settled(SessionClosedError("the session was closed"))
        self._leaving.update(self.failover.stop())
        return set(self._leaving)
