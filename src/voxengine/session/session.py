"""The runner: the session core, and what it takes to have its decisions done.

Events of the provider come in by `_receive`, commands of the application by `command`; both go through the core, and
what the core answers is done by the `Performer`. `Continuity` sees to it that there is a connection.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from voxengine.audio.playout import PlayoutClock
from voxengine.audio.sentence import Sentence, SentenceLike, as_sentence
from voxengine.clock import Clock
from voxengine.config import VoiceEngineConfig
from voxengine.conversation import Conversation
from voxengine.errors import (
    AudioError,
    ConnectionError,
    SessionClosedError,
    UnsupportedFeatureError,
)
from voxengine.events import (
    ConnectionClosed,
    ConnectionEstablished,
    ConnectionFailed,
    ConnectionLost,
    ConnectionStarting,
    ConversationStarted,
    EventBus,
    ProviderEvent,
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
from voxengine.session.core import SessionCore
from voxengine.session.editing import Editor
from voxengine.session.effects import PASS, Command
from voxengine.session.ledger import Ledger
from voxengine.session.leg import CLOSE_BUDGET, Leg
from voxengine.session.modes import HIDDEN
from voxengine.session.options import options_of
from voxengine.session.replay import TurnAudio
from voxengine.session.rules.assistant import LOSS_FOLLOWS
from voxengine.session.sentences import announcement, words_of
from voxengine.session.succession import Succession
from voxengine.session.switching import Switching
from voxengine.session.tools import Toolbox
from voxengine.session.uplink import Uplink
from voxengine.session.wishes import may_begin_anew

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
        conversation.settle()  # it may come from elsewhere
        self.conversation = conversation
        self.ledger = ledger
        self._tools = tools
        self._hidden = HIDDEN[config.mode]
        self._publish: Callable[[ProviderEvent], None] = bus.publish
        clock = Clock()
        self._time = clock.now
        options = options_of(config, clock, tools)
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
        #: Which connection is at work.
        self._succession = Succession(
            config,
            self.core,
            clock,
            tools,
            ledger,
            self._audio,
            self._uplink,
            receive=self._receive,
            publish=self._publish,
            show=self.show,
            apologise=self._apologise,
            jitter=jitter,
        )
        self._line = self._succession.line
        self._hedge = self._succession.hedge
        self._hands = self._succession.hands
        self._switching = Switching(self._succession, self._audio)
        self.apply = self._hands.apply
        #: `NoteGiver.put_in`: a note of the application, for its moment.
        self.inject = self._hands.notes.put_in
        self._bill = Bill(self, bus, ledger, self._time)
        #: What the application changes of the conversation and of the settings.
        self.editor = Editor(self, tools, self._hedge, self._audio, self._uplink)
        #: Ends the call for a reason, when a limit is reached.
        self.hang_up = hang_up or self.close

    @property
    def config(self) -> VoiceEngineConfig:
        """The configuration at work."""
        return self._succession.config

    @config.setter
    def config(self, config: VoiceEngineConfig) -> None:
        self._succession.config = config

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
        leg, switched = await self._switching.first()
        self._succession.attach(leg)
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
        await self._switching.reopen(config)

    async def switch(
        self, config: VoiceEngineConfig, when: str = "now", why: str = "request"
    ) -> None:
        """Go on with another provider: it is opened and told the conversation first, then the present one is closed.

        During an outage it takes the place of the one that is lost, and takes up what that left open.

        Raises:
            ProviderError: the other could not be connected; all is as it was.
        """
        await self._switching.switch(config, when, why)

    async def quiet_moment(self, when: str, budget: float) -> bool:
        """Wait for it; whether it came."""
        return await self._succession.quiet_moment(when, budget)

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
        await self._succession.briefing.close()

    def _end(self, leg: Leg | None, reason: str) -> list[asyncio.Task[None]]:
        """Stop everything; the tools that have yet to end."""
        if leg is not None:
            self.apply(fx.Close(reason))
        running = self._hands.stop()
        self.conversation.on_change = None
        return running

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

    def _apologise(self) -> None:
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
            given = self._hands.notes.with_notes(settings)
            anew = not await self.change_settings(leg, given)
            # At once, and not when whoever waits for it comes to know: another connection may take over before.
            self._succession.changed(settings, kept)
            if anew:
                self.apply(fx.Configured(stale=True))

        await self.call(change)
        await self.renewed()

    async def change_settings(self, leg: Leg, settings: dict[str, Any]) -> bool:
        """Change settings of the leg; False: another connection is needed that begins with them.

        Raises:
            UnsupportedFeatureError: the provider has no such settings.
        """
        try:
            await leg.provider.update_session(**settings)
        except UnsupportedFeatureError as refusal:
            if refusal.never or not may_begin_anew(leg.provider, settings):
                raise
            return False
        return True

    async def renewed(self) -> None:
        """Wait for another connection that takes over because the present one knows other things, if one is coming."""
        await self._line.renewed(self.config.connect_timeout)

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
            self._succession.listen_as_needed(leg)

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
