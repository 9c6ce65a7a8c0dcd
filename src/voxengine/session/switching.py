"""The application chooses who goes on: at the beginning, in mid-conversation, and after a connection was given up."""

from __future__ import annotations

from voxengine.config import VoiceEngineConfig
from voxengine.events import ProviderSwitched, SystemWarning
from voxengine.session.chain import Chain
from voxengine.session.continuity import Change
from voxengine.session.leg import Leg
from voxengine.session.replay import TurnAudio
from voxengine.session.succession import Succession

__all__ = ["Switching"]

#: Seconds for which a moment is waited for that was asked for; then it is done all the same.
MOMENT_BUDGET = 60.0


class Switching:
    """One for each session."""

    def __init__(self, succession: Succession, audio: TurnAudio) -> None:
        self._succession = succession
        self._audio = audio

    async def first(self) -> tuple[Leg, ProviderSwitched | None]:
        """The first of the chain that can be connected, and what to tell of it if that is not the first of all.

        Raises:
            ProviderError: none could be connected.
        """
        succession = self._succession
        wanted, failover = succession.config, succession.line.failover
        successor = await failover.first()
        leg, candidate = successor.leg, successor.candidate
        switched = None
        if candidate.place:
            change = Change(candidate.config, "failover", failover.chain.breaker(wanted).code)
            switched = succession.told_of(leg, change, wanted, successor.attempts)
            failover.chain.place = candidate.place
            succession.use(candidate.config)
        return leg, switched

    async def reopen(self, config: VoiceEngineConfig) -> None:
        """As `Session.reopen`."""
        succession = self._succession
        old, before = succession.current_leg, succession.config
        succession.line.begin_chain(Chain(config))
        succession.use(config)
        try:
            leg, switched = await self.first()
        except BaseException:
            succession.use(before)
            raise
        succession.attach(leg)
        if switched is not None:
            succession.show(switched)
        succession.hedge.begin(succession.config)
        if old is not None:
            await succession.line.leave(old)

    async def switch(self, config: VoiceEngineConfig, when: str, why: str) -> None:
        """As `Session.switch`."""
        succession = self._succession
        core, line = succession.core, succession.line
        chain = Chain(config)
        leg = await self._open(config, when)
        old = succession.current_leg
        attempts, outage_ms = line.overtake() if core.recovering else (1, 0.0)
        line.begin_chain(chain)
        if core.recovering or core.connected:
            succession.take_over(leg, "switch", attempts, outage_ms, Change(config, why))
            line.connected()
        else:
            succession.use(config)
            succession.attach(leg)
        succession.hedge.begin(config)
        if old is not None:
            await line.leave(old)

    async def _open(self, config: VoiceEngineConfig, when: str) -> Leg:
        """The other one, connected, at the moment at which it is to take over."""
        succession = self._succession
        leg = succession.make(config)
        # One that is told the conversation when it is connected is connected when there is no more to tell.
        early = leg.provider.capabilities.history not in ("at_start", "prompt")
        try:
            if early:
                await succession.open_leg(leg, None)
            await self._wait_for(when)
            if not early:
                await succession.open_leg(leg, None)
            old = succession.current_leg
            if succession.core.connected and old is not None:
                await old.outbox.flush()
            leg.check()
            self._audio.change_format(config.input_format)
        except BaseException:
            await leg.close(quiet=True)
            raise
        return leg

    async def _wait_for(self, when: str) -> None:
        succession = self._succession
        if succession.core.connected and not await succession.quiet_moment(when, MOMENT_BUDGET):
            words = f"there was no moment {when.replace('_', ' ')} within {MOMENT_BUDGET:g} s: it is done now"
            leg = succession.current_leg
            meta = leg.provider.meta() if leg is not None else {}
            succession.show(SystemWarning(code="no_quiet_moment", message=words, **meta))
