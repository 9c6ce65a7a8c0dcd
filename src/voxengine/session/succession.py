"""Which connection is at work, and what it takes for another to go on in its place.

It owns those who look for another one (`Continuity`, `Hedge`), and whoever does what the core decides (`Performer`).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from voxengine.clock import Clock
from voxengine.config import CHANGEABLE, VoiceEngineConfig
from voxengine.events import ProviderEvent, ProviderSwitched
from voxengine.session import effects as fx
from voxengine.session.briefing import Briefing
from voxengine.session.chain import Chain
from voxengine.session.continuity import Change, Continuity
from voxengine.session.core import SessionCore
from voxengine.session.handover import told_of
from voxengine.session.hedging import Hedge, Places
from voxengine.session.ledger import Ledger
from voxengine.session.leg import Leg
from voxengine.session.performing import Performer
from voxengine.session.recovery import Recovery
from voxengine.session.replay import TurnAudio
from voxengine.session.rules import turns
from voxengine.session.telling import Teller
from voxengine.session.tools import Toolbox
from voxengine.session.uplink import Uplink

__all__ = ["Succession"]

#: Settings that a connection is not told of: `Leg` converts the audio, and the model is that of the connection.
_KNOWN = frozenset({"input_format", "output_format", "model"})


class Succession:
    """One for each session.

    `receive(leg, event)` gets what the legs tell of, `publish` what goes to the application as it is, and `show` what
    its mode may hide; `apologise` is called when nobody is left. `jitter` is that of `Session`.
    """

    def __init__(
        self,
        config: VoiceEngineConfig,
        core: SessionCore,
        clock: Clock,
        tools: Toolbox,
        ledger: Ledger,
        audio: TurnAudio,
        uplink: Uplink,
        *,
        receive: Callable[[Leg, ProviderEvent], None],
        publish: Callable[[ProviderEvent], None],
        show: Callable[[ProviderEvent], None],
        apologise: Callable[[], None],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.config = config
        self.core = core
        self.show = show
        self.apologise = apologise
        self.briefing = Briefing(core.conversation, ledger, show)
        self._teller = Teller(core, self.briefing, audio, show)
        self._tools = tools
        self._ledger = ledger
        self._audio = audio
        self._uplink = uplink
        self._receive = receive
        self._publish = publish
        recovery = Recovery(config.reconnect_timeout, jitter)
        self.line = Continuity(self, recovery, Chain(config), clock.now)
        self.hedge = Hedge(self, clock.now)
        self.hands = Performer(
            core,
            clock,
            tools,
            audio,
            uplink,
            show=show,
            rotate=self.line.rotate,
            fail_over=self.line.fail_over,
            hedge=self.hedge,
            instructions=lambda: self.config.instructions,
            renew=self.line.renew,
        )
        self.apply = self.hands.apply
        #: Settings that the application has changed since, and that are not part of the configuration.
        self.settings: dict[str, Any] = {}
        #: All those that were changed since another connection began to be opened, which may not know of them.
        self.late: dict[str, Any] = {}

    @property
    def current_leg(self) -> Leg | None:
        """The leg at work, in whatever state."""
        return self.hands.leg

    def changed(self, settings: dict[str, Any], kept: dict[str, Any]) -> None:
        """The leg at work has other settings; those that are `kept` are also of the configuration."""
        self.settings.update({k: v for k, v in settings.items() if k not in kept})
        self.late.update(settings)
        self.config = self.config.with_changes(**kept)
        self.hedge.update(settings, kept)
        self.line.failover.changed()

    async def quiet_moment(self, when: str, budget: float) -> bool:
        """Wait for it; whether it came."""
        return await self.hands.moments.wait(when, budget)

    # -- legs

    def make(self, config: VoiceEngineConfig, hidden: bool = False) -> Leg:
        """A leg of a provider, which is not open yet."""
        self.briefing.prepare(config)
        return Leg(
            config.provider,
            config,
            self._tools.schemas(),
            self._receive,
            self.hands.call_failed,
            hidden=hidden,
        )

    def successor(self, config: VoiceEngineConfig) -> Leg:
        """A leg of another provider, which is not open yet. Of one that stands by, the application is not told."""
        return self.make(config, hidden=self.core.connected or self.core.recovering)

    async def open_leg(self, leg: Leg, budget: float | None) -> None:
        """Connect it, and tell it the conversation.

        Raises:
            ProviderError: it could not be connected.
        """
        await leg.open(lambda: self._teller.history(leg), budget=budget)

    def stand_in(self, anew: bool = False) -> Leg:
        """Another leg of the present provider, not open yet; `anew`: which does not take up its session."""
        old = None if anew else self.hands.leg
        self.late.clear()
        return Leg(
            self.config.provider,
            self.config,
            self._tools.schemas(),
            self._receive,
            self.hands.call_failed,
            resume=old.provider.resume_handle if old is not None else None,
            hidden=True,
        )

    async def open_stand_in(self, leg: Leg, budget: float | None) -> None:
        """Connect it, with the settings that were changed, and tell it the conversation.

        Raises:
            ProviderError: it could not be connected.
        """
        await leg.open(lambda: self._teller.history(leg), settings=self.settings, budget=budget)

    # -- who is at work

    def attach(self, leg: Leg) -> None:
        """Let it be the first leg, or the first after a pause."""
        self._teller.rest(leg)
        self._put_to_work(leg)
        self.line.connected()
        self.line.settled()
        self.apply(fx.Attached(leg.name, leg.provider.capabilities, leg.opened_at))
        self._audio.attached()
        self._uplink.sink = leg

    def use(self, config: VoiceEngineConfig) -> None:
        """Go on with this configuration, which may be another provider's."""
        self.config = config
        self._uplink.format = config.input_format
        self.settings.clear()
        self.late.clear()
        self.apply(
            fx.Configured(auto_response=config.auto_response, interruptions=config.interruptions)
        )

    def take_over(
        self,
        leg: Leg,
        reason: str,
        attempts: int = 1,
        outage_ms: float = 0.0,
        change: Change | None = None,
    ) -> None:
        """Go on with the same conversation over another connection, where the last one left it.

        `change`: it is another provider's.
        """
        audio = self._audio
        previous = self.config
        if change is not None:
            self.use(_with_formats(change, previous))
        leg.change_formats(self.config.input_format, self.config.output_format)
        if late := self._unknown_to(leg):
            leg.outbox.put(partial(leg.provider.update_session, **late))
        outage = not self.core.connected
        if not outage:
            audio.away(audio.last_heard)
            if change is not None:
                self.apply(fx.HandOver(failed=change.why == "failover"))
        told = self._teller.rest(leg)
        self._put_to_work(leg)
        hear = turns.to_hear(self.core, leg.provider.capabilities)
        for item_id in self.core.kept.keys() - set(hear):
            audio.forget(item_id)  # the other is told what was said
        begin = self.hands.replay_from = audio.begin()
        self._uplink.sink = leg  # unless there is something to be replayed first
        switched = None
        if change is not None:
            switched = msgspec.structs.replace(
                self.told_of(leg, change, previous, attempts),
                outage_ms=round(outage_ms, 3),
                audio_ms=audio.ms_from(begin),
                audio_lost_ms=audio.lost_ms,
            )
        self.apply(
            fx.Reattached(
                provider=leg.name,
                capabilities=leg.provider.capabilities,
                reason=reason,
                opened_at=leg.opened_at,
                resumed=leg.provider.resumed,
                attempts=attempts,
                outage_ms=round(outage_ms, 3),
                items=len(leg.told),
                audio_ms=audio.ms_from(begin),
                audio_lost_ms=audio.lost_ms,
                outage=outage,
                switched=switched,
                manual_turns=None if change is None else self.config.turn_detection == "none",
            )
        )
        self.listen_as_needed(leg)
        if self._uplink.sink is leg:
            if told and leg.provider.capabilities.history == "before_audio":
                self.hands.perform([fx.Replay()])  # of what comes until it was told
            else:
                audio.replayed()
        self.line.settled()

    def _unknown_to(self, leg: Leg) -> dict[str, Any]:
        """The settings and the tools of today, as far as it was not made with them."""
        late = {
            name: value
            for name in CHANGEABLE - _KNOWN
            if (value := getattr(self.config, name)) != getattr(leg.config, name)
        }
        tools = self._tools.schemas()
        if tools != leg.tools and leg.provider.capabilities.tools:
            late["tools"] = tools
        return late | self.late

    def told_of(
        self, leg: Leg, change: Change, previous: VoiceEngineConfig, attempts: int
    ) -> ProviderSwitched:
        """What the application is told of the change."""
        return told_of(
            leg,
            change,
            previous,
            attempts=attempts,
            log=self.core.conversation,
            tools=len(self._tools.schemas()),
            pending_calls=len(self.hands.running),
        )

    def _put_to_work(self, leg: Leg) -> None:
        old, self.hands.leg = self.hands.leg, leg
        leg.hidden = False
        if old is not None:
            old.next_chunk = old.next_words = None
        leg.next_chunk, leg.next_words = self.core.next_chunk, self.core.next_words
        leg.publish = self._publish
        self._ledger.begin(leg.name, leg.provider.capabilities.on_device)
        self.hedge.works(leg)
        self.listen_as_needed(leg)

    def listen_as_needed(self, leg: Leg) -> None:
        """Keep all audio where nobody tells when the user speaks."""
        self._audio.always = self.core.manual_turns or not leg.provider.capabilities.vad_events

    # -- a second one that hears the user as well

    def second(self, config: VoiceEngineConfig) -> Leg:
        """A hidden leg, which is not open yet."""
        leg = self.make(config, hidden=True)
        self._ledger.begin(leg.name, leg.provider.capabilities.on_device)
        return leg

    def listen_too(self, leg: Leg | None) -> int:
        """Send it the user's audio as well (None: nobody but the one at work); the place where it begins to hear."""
        self._uplink.second = leg
        return self._audio.here

    def change_places(self, leg: Leg, config: VoiceEngineConfig, places: Places) -> int:
        """Go on with the one that was hidden; the place where the one before began to hear the user."""
        old, previous, origin = self.hands.leg, self.config, self._audio.origin
        lost = old is None or old.lost is not None
        if lost:
            self.line.failover.give_up(places.code)
        self.line.replaced()
        self.use(config)
        self._put_to_work(leg)
        if old is not None:
            old.hidden = True
        self._uplink.second = None if lost else old
        self._uplink.sink = leg
        self._audio.heard_from(places.place)
        change = Change(config, places.why, places.code)
        self.apply(
            fx.HedgeTookOver(
                provider=leg.name,
                capabilities=leg.provider.capabilities,
                switched=self.told_of(leg, change, previous, 1),
                opened_at=leg.opened_at,
                manual_turns=config.turn_detection == "none",
                aliases=places.aliases,
                speaking=places.speaking,
                answers=places.answers,
            )
        )
        if lost and old is not None:
            self.line.retire(old)
            self.line.failover.settled()
        self.line.settled()
        return origin

    def replace_lost(self, leg: Leg, config: VoiceEngineConfig, code: str) -> None:
        """Go on with another that is open, instead of the one that is lost; it has not heard the user."""
        old = self.hands.leg
        attempts, outage_ms = self.line.overtake() if self.line.busy else (1, 0.0)
        self.line.failover.give_up(code)
        self.take_over(leg, code, attempts, outage_ms, Change(config, "failover", code))
        if old is not None:
            self.line.retire(old)
        self.line.failover.settled()

    def feed(self, leg: Leg, event: ProviderEvent) -> None:
        """An event that was kept."""
        self._receive(leg, event)

    def retire(self, leg: Leg) -> None:
        """Close a leg that is not needed any more."""
        self.line.retire(leg)


def _with_formats(change: Change, now: VoiceEngineConfig) -> VoiceEngineConfig:
    """The configuration of another provider. One that was made ready before may not know today's formats."""
    if change.why not in ("failover", "return"):
        return change.config
    return change.config.with_changes(
        input_format=now.input_format, output_format=now.output_format
    )
