"""The runner: the session core, and what it takes to have its decisions done.

Events of the provider come in by `_receive`, commands of the application by `command`; both go through the core, and
what the core answers is done by the `Performer`. `Continuity` sees to it that there is a connection.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from voxengine.audio.playout import PlayoutClock
from voxengine.audio.sentence import Sentence, SentenceLike, as_sentence
from voxengine.clock import Clock
from voxengine.config import VoiceEngineConfig
from voxengine.conversation import Conversation, Fitted, Item
from voxengine.errors import AudioError, ConnectionError, SessionClosedError
from voxengine.events import (
    ConnectionClosed,
    ConnectionEstablished,
    ConnectionFailed,
    ConnectionLost,
    ConnectionStarting,
    ConversationStarted,
    EventBus,
    ProviderEvent,
    ProviderSwitched,
    ResponseCompleted,
    ResponseStarted,
    SessionUpdated,
    StateChanged,
    SystemWarning,
    TranscriptCompleted,
    TurnDetected,
    UsageUpdated,
)
from voxengine.session import effects as fx
from voxengine.session.bill import Bill
from voxengine.session.briefing import Briefing
from voxengine.session.chain import Chain
from voxengine.session.continuity import Change, Continuity
from voxengine.session.core import CoreOptions, SessionCore
from voxengine.session.editing import Editor
from voxengine.session.effects import PASS, Command
from voxengine.session.hedging import Hedge, Places
from voxengine.session.ledger import Ledger
from voxengine.session.leg import CLOSE_BUDGET, Leg
from voxengine.session.modes import HIDDEN
from voxengine.session.performing import Performer
from voxengine.session.recovery import Recovery
from voxengine.session.replay import TurnAudio
from voxengine.session.rules import turns
from voxengine.session.rules.assistant import LOSS_FOLLOWS
from voxengine.session.sentences import announcement, words_of
from voxengine.session.telling import tellable
from voxengine.session.tools import Toolbox
from voxengine.session.uplink import Uplink

__all__ = ["Session"]

_ABOUT_CONNECTION = frozenset(
    {
        ConnectionStarting,
        ConnectionEstablished,
        ConnectionFailed,
        ConnectionLost,
        ConnectionClosed,
    }
)
#: What a connection that works has brought at least once.
_WORK = frozenset({TurnDetected, TranscriptCompleted, ResponseStarted, ResponseCompleted})

#: Commands that no answer depends on.
_EDITS = (fx.AddItem, fx.DeleteItem, fx.TruncateItem)

#: Seconds for which a moment is waited for that was asked for; then it is done all the same.
MOMENT_BUDGET = 60.0
#: Seconds of silence in an answer under way after which another provider takes over, where there is one. A vendor may
#: think for some time before its first sound.
STALLED_AFTER = 5.0


class Session:
    """One open conversation. Made, opened and closed once.

    `jitter` gives numbers from 0 to 1, by which the pauses between attempts to reconnect are cut. `hang_up` ends the
    call for a reason, when a limit is reached; by default that is `close`.
    """

    def __init__(
        self,
        config: VoiceEngineConfig,
        *,
        bus: EventBus,
        tools: Toolbox,
        conversation: Conversation,
        ledger: Ledger,
        jitter: Callable[[], float] = random.random,
        hang_up: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self.config = config
        conversation.settle()  # it may come from elsewhere
        self.conversation = conversation
        self.ledger = ledger
        self._briefing = Briefing(conversation, ledger, self.show)
        self._tools = tools
        self._hidden = HIDDEN[config.mode]
        self._publish: Callable[[ProviderEvent], None] = bus.publish
        clock = Clock()
        self._time = clock.now
        options = CoreOptions(
            response_timeout=config.response_timeout,
            stall_timeout=(
                min(config.stall_timeout, max(STALLED_AFTER, config.failover_after))
                if config.fallback
                else config.stall_timeout
            ),
            text_only=config.modalities == ["text"],
            manual_turns=config.turn_detection == "none",
            recovers=config.reconnect_timeout > 0 or bool(config.fallback or config.hedge),
            failover_after=config.failover_after if config.fallback else None,
            rotation_margin=config.rotation_margin,
            metrics=config.mode == "big",
            transcripts=config.mode != "fast",
            epoch=clock.epoch,
            auto_response=config.auto_response,
            interruptions=config.interruptions,
            silent_tools=tools.silent,
        )
        self.core = SessionCore(conversation, options, PlayoutClock(config.output_latency_ms))
        #: The user's audio that may be needed again.
        self._audio = TurnAudio(
            config.input_format, silent_ms=self._silent_ms, on_unheard=self._unheard
        )
        self._uplink = Uplink(
            self._audio,
            config.input_format,
            nobody=self._check_leg,
            loss_follows=self._loss_follows,
        )
        #: `Uplink.take`: what the microphone heard, in the configured input format.
        self.take_audio = self._uplink.take
        self._line = Continuity(
            self, Recovery(config.reconnect_timeout, jitter), Chain(config), self._time
        )
        self._hedge = Hedge(self, self._time)
        self._hands = Performer(
            self.core,
            clock,
            tools,
            self._audio,
            self._uplink,
            show=self.show,
            rotate=self._line.rotate,
            fail_over=self._line.fail_over,
            hedge=self._hedge,
            instructions=lambda: self.config.instructions,
            renew=self._line.renew,
        )
        self.apply = self._hands.apply
        #: `NoteGiver.put_in`: a note of the application, for its moment.
        self.inject = self._hands.notes.put_in
        self._bill = Bill(self, bus, ledger, self._time)
        #: What the application changes of the conversation and of the settings.
        self.editor = Editor(self, tools, self._hedge, self._audio, self._uplink)
        #: Ends the call for a reason, when a limit is reached.
        self.hang_up = hang_up or self.close
        #: Settings that the application has changed since, and that are not part of the configuration.
        self._settings: dict[str, Any] = {}
        #: All those that were changed since another connection began to be opened, which may not know of them.
        self._late: dict[str, Any] = {}

    @property
    def current_leg(self) -> Leg | None:
        """The leg at work, in whatever state; None before `open` and after `close`."""
        return self._hands.leg

    @property
    def leg(self) -> Leg:
        """The leg at work.

        Raises:
            SessionClosedError: the session is not open.
            ConnectionError: it is open, but its provider is lost.
        """
        leg = self._hands.leg
        if leg is None:
            raise SessionClosedError("not connected; call connect() first")
        if not self.core.connected:
            raise ConnectionError(
                f"the connection to provider {leg.name!r} is lost", provider=leg.name, code="closed"
            )
        return leg

    @property
    def recovering(self) -> bool:
        """Whether the connection is lost, and about to be restored."""
        return self.core.recovering

    # -- life

    async def open(self) -> None:
        """Connect the configured provider, or the first of its fallbacks that can be.

        Raises:
            ProviderError: none could be connected.
        """
        leg, switched = await self._first()
        self._attach(leg)
        self.show(ConversationStarted(conversation_id=self.conversation.id, **leg.provider.meta()))
        if switched is not None:
            self.show(switched)
        self._bill.begin()
        self._hedge.begin(self.config)

    async def reopen(self, config: VoiceEngineConfig) -> None:
        """Go on after the connection was given up, with this configuration or its fallbacks.

        Raises:
            ProviderError: none could be connected.
        """
        old, before = self._hands.leg, self.config
        self._line.begin_chain(config)
        self._use(config)
        try:
            leg, switched = await self._first()
        except BaseException:
            self._use(before)
            raise
        self._attach(leg)
        if switched is not None:
            self.show(switched)
        self._hedge.begin(self.config)
        if old is not None:
            await self._line.leave(old)

    async def _first(self) -> tuple[Leg, ProviderSwitched | None]:
        """The first of the chain that can be connected, and what to tell of it if that is not the first of all."""
        wanted, failover = self.config, self._line.failover
        successor = await failover.first()
        leg, candidate = successor.leg, successor.candidate
        switched = None
        if candidate.place:
            change = Change(candidate.config, "failover", failover.chain.breaker(wanted).code)
            switched = self._told_of(leg, change, wanted, successor.attempts)
            failover.chain.place = candidate.place
            self._use(candidate.config)
        return leg, switched

    async def switch(
        self, config: VoiceEngineConfig, when: str = "now", why: str = "request"
    ) -> None:
        """Go on with another provider: it is opened and told the conversation first, then the present one is closed.

        During an outage it takes the place of the one that is lost, and takes up what that left open.

        Raises:
            ProviderError: the other could not be connected; all is as it was.
        """
        leg = self._leg(config)
        # One that is told the conversation when it is connected is connected when there is no more to tell.
        early = leg.provider.capabilities.history not in ("at_start", "prompt")
        try:
            if early:
                await self.open_leg(leg, None)
            await self._wait_for(when)
            if not early:
                await self.open_leg(leg, None)
            old = self._hands.leg
            if self.core.connected and old is not None:
                await old.outbox.flush()
            leg.check()
            self._audio.change_format(config.input_format)
        except BaseException:
            await leg.close(quiet=True)
            raise
        old = self._hands.leg
        attempts, outage_ms = self._line.overtake() if self.core.recovering else (1, 0.0)
        self._line.begin_chain(config)
        if self.core.recovering or self.core.connected:
            self.take_over(leg, "switch", attempts, outage_ms, Change(config, why))
            self._line.connected()
        else:
            self._use(config)
            self._attach(leg)
        self._hedge.begin(config)
        if old is not None:
            await self._line.leave(old)

    async def _wait_for(self, when: str) -> None:
        if self.core.connected and not await self._hands.moments.wait(when, MOMENT_BUDGET):
            words = f"there was no moment {when.replace('_', ' ')} within {MOMENT_BUDGET:g} s: it is done now"
            self.show(
                SystemWarning(code="no_quiet_moment", message=words, **self.leg.provider.meta())
            )

    async def quiet_moment(self, when: str, budget: float) -> bool:
        """Wait for it; whether it came."""
        return await self._hands.moments.wait(when, budget)

    def stop_waiting(self) -> None:
        """Whoever waits for a moment is told that the session ends."""
        self._hands.moments.close()

    async def close(self, reason: str = "") -> None:
        """Disconnect, stop the tools, end the conversation. May be called again."""
        leg, self._hands.leg = self._hands.leg, None
        self._uplink.sink = None
        leaving = (
            self._hedge.close() | self._line.close() | self._bill.close() | self.editor.close()
        )
        try:
            if leg is not None:
                await leg.close()
        finally:  # also if that is broken off: there is nobody who would do the rest
            running = self._end(leg, reason)
        if running or leaving:
            await asyncio.wait({*running, *leaving}, timeout=CLOSE_BUDGET)
        await self._briefing.close()

    def _end(self, leg: Leg | None, reason: str) -> list[asyncio.Task[None]]:
        """Stop everything; the tools that have yet to end."""
        if leg is not None:
            self.apply(fx.Close(reason))
        running = self._hands.stop()
        self.conversation.on_change = None
        return running

    # -- legs

    def _leg(self, config: VoiceEngineConfig, hidden: bool = False) -> Leg:
        self._briefing.prepare(config)
        return Leg(
            config.provider,
            config,
            self._tools.schemas(),
            self._receive,
            self._hands.call_failed,
            hidden=hidden,
        )

    def successor(self, config: VoiceEngineConfig) -> Leg:
        """A leg of another provider, which is not open yet. Of one that stands by, the application is not told."""
        return self._leg(config, hidden=self.core.connected or self.core.recovering)

    async def open_leg(self, leg: Leg, budget: float | None) -> None:
        """Connect it, and tell it the conversation.

        Raises:
            ProviderError: it could not be connected.
        """
        await leg.open(lambda: self._history(leg), budget=budget)

    def stand_in(self, anew: bool = False) -> Leg:
        """Another leg of the present provider, not open yet; `anew`: which does not take up its session."""
        old = None if anew else self._hands.leg
        self._late.clear()
        return Leg(
            self.config.provider,
            self.config,
            self._tools.schemas(),
            self._receive,
            self._hands.call_failed,
            resume=old.provider.resume_handle if old is not None else None,
            hidden=True,
        )

    async def open_stand_in(self, leg: Leg, budget: float | None) -> None:
        """Connect it, with the settings that were changed, and tell it the conversation.

        Raises:
            ProviderError: it could not be connected.
        """
        await leg.open(lambda: self._history(leg), settings=self._settings, budget=budget)

    async def _history(self, leg: Leg) -> Fitted:
        """What of the log it is told."""
        core = self.core
        hurry = core.recovering or core.failing_over
        return await self._briefing.of(leg.provider, leg.config, self._tellable(leg), hurry)

    def _tellable(self, leg: Leg) -> Sequence[Item]:
        """What of the log can be told to it: without what will be replayed."""
        if leg.provider.capabilities.history == "none":
            return ()
        hear = turns.to_hear(self.core, leg.provider.capabilities) if len(self._audio) else ()
        return tellable(self.conversation, hear)

    def _attach(self, leg: Leg) -> None:
        self._tell_the_rest(leg)
        self._put_to_work(leg)
        self._line.connected()
        self._line.settled()
        self.apply(fx.Attached(leg.name, leg.provider.capabilities, leg.opened_at))
        self._audio.attached()
        self._uplink.sink = leg

    def _use(self, config: VoiceEngineConfig) -> None:
        """Go on with this configuration, which may be another provider's."""
        self.config = config
        self._uplink.format = config.input_format
        self._settings.clear()
        self._late.clear()
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
            self._use(self.editor.with_formats(change))
        leg.change_formats(self.config.input_format, self.config.output_format)
        if self._late:
            leg.outbox.put(partial(leg.provider.update_session, **self._late))
        outage = not self.core.connected
        if not outage:
            audio.away(audio.last_heard)
            if change is not None:
                self.apply(fx.HandOver(failed=change.why == "failover"))
        told = self._tell_the_rest(leg)
        self._put_to_work(leg)
        hear = turns.to_hear(self.core, leg.provider.capabilities)
        for item_id in self.core.kept.keys() - set(hear):
            audio.forget(item_id)  # the other is told what was said
        begin = self._hands.replay_from = audio.begin()
        self._uplink.sink = leg  # unless there is something to be replayed first
        switched = None
        if change is not None:
            switched = msgspec.structs.replace(
                self._told_of(leg, change, previous, attempts),
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
        self._listen_as_needed(leg)
        if self._uplink.sink is leg:
            if told and leg.provider.capabilities.history == "before_audio":
                self._hands.perform([fx.Replay()])  # of what comes until it was told
            else:
                audio.replayed()
        self._line.settled()

    # -- a second one that hears the user as well

    def second(self, config: VoiceEngineConfig) -> Leg:
        """A hidden leg, which is not open yet."""
        leg = self._leg(config, hidden=True)
        self.ledger.begin(leg.name, leg.provider.capabilities.on_device)
        return leg

    def listen_too(self, leg: Leg | None) -> int:
        """Send it the user's audio as well (None: nobody but the one at work); the place where it begins to hear."""
        self._uplink.second = leg
        return self._audio.here

    def change_places(self, leg: Leg, config: VoiceEngineConfig, places: Places) -> int:
        """Go on with the one that was hidden; the place where the one before began to hear the user."""
        old, previous, origin = self._hands.leg, self.config, self._audio.origin
        lost = old is None or old.lost is not None
        if lost:
            self._line.failover.give_up(places.code)
        self._line.replaced()
        self._use(config)
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
                switched=self._told_of(leg, change, previous, 1),
                opened_at=leg.opened_at,
                manual_turns=config.turn_detection == "none",
                aliases=places.aliases,
                speaking=places.speaking,
                answers=places.answers,
            )
        )
        if lost and old is not None:
            self._line.retire(old)
            self._line.failover.settled()
        self._line.settled()
        return origin

    def replace_lost(self, leg: Leg, config: VoiceEngineConfig, code: str) -> None:
        """Go on with another that is open, instead of the one that is lost; it has not heard the user."""
        old = self._hands.leg
        attempts, outage_ms = self._line.overtake() if self._line.busy else (1, 0.0)
        self._line.failover.give_up(code)
        self.take_over(leg, code, attempts, outage_ms, Change(config, "failover", code))
        if old is not None:
            self._line.retire(old)
        self._line.failover.settled()

    def feed(self, leg: Leg, event: ProviderEvent) -> None:
        """An event that was kept."""
        self._receive(leg, event)

    def retire(self, leg: Leg) -> None:
        """Close a leg that is not needed any more."""
        self._line.retire(leg)

    def _put_to_work(self, leg: Leg) -> None:
        old, self._hands.leg = self._hands.leg, leg
        leg.hidden = False
        if old is not None:
            old.next_chunk = old.next_words = None
        leg.next_chunk, leg.next_words = self.core.next_chunk, self.core.next_words
        leg.publish = self._publish
        self.ledger.begin(leg.name, leg.provider.capabilities.on_device)
        self._hedge.works(leg)
        self._listen_as_needed(leg)

    def _listen_as_needed(self, leg: Leg) -> None:
        """Keep all audio where nobody tells when the user speaks."""
        self._audio.always = self.core.manual_turns or not leg.provider.capabilities.vad_events

    def _told_of(
        self, leg: Leg, change: Change, previous: VoiceEngineConfig, attempts: int
    ) -> ProviderSwitched:
        """What another provider was given, and what not."""
        can, tools = leg.provider.capabilities, len(self._tools.schemas())
        left_out = []
        untold = len(leg.left_out)
        if can.history == "none":
            untold = len(tellable(self.conversation))
        if untold:
            left_out.append("history")
        if tools and not can.tools:
            left_out.append("tools")
        if previous.turn_options not in ({}, change.config.turn_options):
            left_out.append("turn_options")
        if previous.turn_detection not in (None, change.config.turn_detection):
            left_out.append(f"turn_detection {previous.turn_detection}")
        voice = change.config.voice
        if previous.voice is not None and voice is None:
            left_out.append(f"voice {previous.voice}")
        return ProviderSwitched(
            previous=previous.provider,
            reason=change.why,
            code=change.code,
            attempts=attempts,
            resumed=leg.provider.resumed,
            items=len(leg.told),
            items_left_out=untold,
            tools=tools if can.tools else 0,
            pending_calls=len(self._hands.running),
            voice=voice,
            previous_voice=previous.voice,
            left_out=tuple(left_out),
            **leg.provider.meta(),
        )

    def _silent_ms(self) -> float:
        """For how long a provider that owes us an answer has shown no sign of life."""
        core, now = self.core, self._time()
        if core.replies.in_flight is None or not core.connected:
            return 0.0
        core.book(now)  # the audio path tells of nothing but by this
        return max(0.0, (now - core.last_activity) * 1000)

    def _unheard(self) -> None:
        """The user may have said something, and the provider has not told of it."""
        leg = self._hands.leg
        if (
            leg is not None
            and self.core.connected
            and self.core.quiet
            and leg.provider.capabilities.vad_events
        ):
            words = f"the user may have spoken, and provider {leg.name!r} has not told of it"
            self.show(SystemWarning(code="speech_not_heard", message=words, **leg.provider.meta()))

    def apologise(self) -> None:
        """Nobody is left: tell the user."""
        self._hedge.close()
        self.announce(self.config.apology)

    def announce(self, what: SentenceLike) -> None:
        """Say something without a provider, after what is playing. None: nothing.

        Raises:
            ConfigurationError: it is no sentence, or its file cannot be used.
        """
        sentence = what if isinstance(what, Sentence) else as_sentence("a sentence", what)
        if sentence is None:
            return
        format = self.config.output_format
        try:
            command = announcement(sentence, format)
        except AudioError as failure:
            self.show(SystemWarning(code="sentence_unreadable", message=str(failure), **self._meta))
            command = words_of(sentence, format)
        self.apply(command)

    def _tell_the_rest(self, leg: Leg) -> bool:
        """What was added to the log since it was told, and what it cannot be told. Whether there was anything."""
        provider = leg.provider
        if provider.resumed:
            leg.told.clear()
            leg.left_out.clear()
            return False
        if provider.capabilities.history in ("items", "before_audio"):
            known = leg.told | leg.left_out
            new = [i for i in self._tellable(leg) if i.id not in known]
            rest = self._briefing.rest(provider, leg.config, new)
            leg.knows(rest)
            if rest.told:
                leg.outbox.put(lambda: provider.add_conversation_history(rest.told))
            return bool(rest.told)
        if provider.capabilities.history == "none" and (n := len(tellable(self.conversation))):
            words = f"provider {leg.name!r} takes no earlier conversation; {n} items are not told"
            self.show(SystemWarning(code="history_not_carried", message=words, **provider.meta()))
        return False

    # -- in

    def _check_leg(self) -> None:
        """Raise if there is nobody to hear the user, and nobody about to come."""
        if not self.core.recovering:
            self.leg  # noqa: B018 - raises where there is none

    def _loss_follows(self, leg: Leg, failure: ConnectionError) -> bool:
        return self._hands.loss_follows(leg, failure)

    async def command(self, command: Command) -> None:
        """Do what the application asks, and wait until the provider has taken it. During an outage, wait for its end.

        Raises:
            ProviderError: it did not.
        """
        if not (self.core.recovering and isinstance(command, fx.Interrupt)):
            await self._ready()
        leg = self._hands.leg
        waits: list[Awaitable[Any]] = []
        self.apply(command, waits)
        self._hedge.asked(command)
        if leg is None or not waits:
            return
        try:
            await asyncio.gather(*waits)
        except Exception as failure:
            # What was lost with the connection is in the log, or is owed: the next one takes it up.
            if not await self._goes_on(leg, failure):
                if not isinstance(command, _EDITS):
                    self.apply(fx.CallFailed())
                raise

    async def call(self, call: Callable[[Leg], Awaitable[Any]]) -> Any:
        """Make any other call to the provider, in its turn; once more, if the connection is lost meanwhile."""
        while True:
            leg = await self._ready()
            try:
                return await leg.outbox.do(lambda leg=leg: call(leg))  # type: ignore[misc]
            except ConnectionError as failure:
                if not await self._goes_on(leg, failure):
                    raise

    async def update(self, settings: dict[str, Any], kept: dict[str, Any]) -> None:
        """Change settings; those that are `kept` are also in the configuration of the next connection."""

        async def change(leg: Leg) -> None:
            await leg.provider.update_session(**self._hands.notes.with_notes(settings))
            # At once, and not when whoever waits for it comes to know: another connection may take over before.
            self._settings.update({k: v for k, v in settings.items() if k not in kept})
            self._late.update(settings)
            self.config = self.config.with_changes(**kept)
            self._hedge.update(settings, kept)

        await self.call(change)

    async def commit_audio(self, item_id: str | None = None) -> None:
        """End the user's turn with the audio that was sent so far; `item_id` is its item, where that is known."""
        self.apply(fx.NameTurn(item_id))
        try:
            await self._commit()
        except BaseException:
            self.apply(fx.NameTurn(item_id, made=False))
            raise

    async def _commit(self) -> None:

        def commit(leg: Leg) -> Awaitable[None]:
            self._audio.commit()
            self._hedge.commit()
            return leg.commit_audio()

        await self.call(commit)

    async def clear_audio(self) -> None:
        """Throw away the user's audio that is not a turn yet."""
        self._audio.clear()
        self._hedge.clear()
        await self.call(Leg.clear_audio)

    async def recovered(self) -> None:
        """Wait until an outage is over.

        Raises:
            ConnectionError: it does not end well.
        """
        await self._line.outcome()

    def acknowledge(self, item_id: str, played_ms: float) -> None:
        """The client's own report of what it has played."""
        self.apply(fx.PlaybackAck(item_id, played_ms))

    async def _ready(self) -> Leg:
        while self.core.recovering:
            await self._line.outcome()
        return self.leg

    async def _goes_on(self, leg: Leg, failure: Exception) -> bool:
        """Whether a call failed because the connection was lost, and another one has taken its place."""
        lost = isinstance(failure, ConnectionError) and self.core.options.recovers
        if not lost:
            return False
        if leg.lost is None and leg is self._hands.leg:
            try:
                async with asyncio.timeout(LOSS_FOLLOWS):
                    await leg.gone.wait()
            except TimeoutError:
                return False
        while self.core.recovering:
            await self._line.outcome()
        return self.core.connected and self._hands.leg not in (leg, None)

    def _receive(self, leg: Leg, event: ProviderEvent) -> None:
        kind = type(event)
        at_work = self._hands.leg
        hedge = self._hedge
        if leg.retired or (leg is not at_work and (leg.hidden or at_work is not None)):
            self._receive_hidden(leg, event)
            return
        if hedge.on and hedge.mutes(event):
            return
        # Before the core takes the loss for the last sign of life.
        heard = self._audio.last_heard if kind is ConnectionLost else None
        effects = self.core.apply(event, self._time())
        if effects is PASS:
            self._publish(event)
            return
        # One that comes twice is not counted twice; one that comes after the end is.
        if kind is UsageUpdated and (event in effects or self.core.state == "closed"):
            self.ledger.add(event)  # type: ignore[arg-type]
        if kind is ConnectionLost:
            # Before anybody hears of it, so that whatever they do then is done as in an outage.
            self._uplink.sink = None
            self._audio.away(heard)
        self._hands.perform(effects)
        if hedge.on:
            hedge.noticed(event, effects)
        if kind in _WORK:
            if not leg.worked:
                leg.worked = True
                self._line.failover.worked()
        elif kind is ConnectionLost:
            leg.outbox.close()
            at_work = self._hands.leg
            if self.core.recovering and leg is at_work and not hedge.replaces(event):  # type: ignore[arg-type]
                self._line.lost(leg, event)  # type: ignore[arg-type]
        elif kind is SessionUpdated:
            self.apply(fx.Configured(leg.provider.capabilities))
            self._listen_as_needed(leg)

    def _receive_hidden(self, leg: Leg, event: ProviderEvent) -> None:
        """Of one that is about to take over, or was replaced, the conversation needs nothing; a second one may win."""
        if type(event) is UsageUpdated:
            self.book(event)
        elif type(event) in _ABOUT_CONNECTION and not (leg.hidden or leg.retired):
            self.show(event)
        elif leg is self._hedge.leg:
            self._hedge.heard(event)

    # -- out

    @property
    def _meta(self) -> dict[str, Any]:
        leg = self._hands.leg
        return leg.provider.meta() if leg is not None else {}

    def book(self, usage: UsageUpdated) -> None:
        """Something was used that the leg at work does not tell of."""
        self.ledger.add(usage)
        self.show(usage)

    def show(self, event: ProviderEvent) -> None:
        """Tell the application, unless its mode does not want to know."""
        if event.type not in self._hidden:
            self._publish(event)
        if type(event) is UsageUpdated:
            self._bill.reported(event)
        elif type(event) is StateChanged and self._hedge.on:
            self._hedge.look()
