"""Hedging: a second provider hears the user as well, and the first of the two to answer speaks.

Of the second one the application hears nothing while it is hidden. It is told the conversation when it is opened, and
what the other one said as soon as that was heard or cut. What it begins to answer is kept until it is decided who
speaks: the one at work, if it is first; otherwise the two change places. The slower one is called off, and forgets what
it had begun to say. Both must be able to be told items at any time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from voxengine.config import OWN, VoiceEngineConfig
from voxengine.events import (
    AudioOutputChunk,
    ConnectionLost,
    FunctionInvoked,
    ProviderEvent,
    ResponseCompleted,
    ResponseStarted,
    TextOutput,
    TranscriptCompleted,
    TranscriptFailed,
    TranscriptPartial,
    TurnDetected,
    VadSpeechStarted,
)
from voxengine.session import effects as fx
from voxengine.session.contender import (
    ENDS,
    MOST_KEPT,
    OUTPUTS,
    Asked,
    Contender,
    Heard,
    LogTurn,
    Saying,
)
from voxengine.session.leg import Leg
from voxengine.session.relay import Relay
from voxengine.session.replies import Recent, Reply, ReplyState
from voxengine.session.second import PAUSE, Second
from voxengine.session.second import Owner as SecondOwner

__all__ = ["Hedge", "Owner", "Places"]

_TRANSCRIPTS = frozenset({TranscriptPartial, TranscriptCompleted, TranscriptFailed})
_OF_RESPONSE = frozenset({ResponseStarted, *OUTPUTS, *ENDS})


class Owner(SecondOwner, Protocol):
    """What it needs of the session."""

    def listen_too(self, leg: Leg | None) -> int:
        """Send it the user's audio as well (None: nobody but the one at work); the place where it begins to hear."""

    def change_places(self, leg: Leg, config: VoiceEngineConfig, places: Places) -> int:
        """Let it be the leg at work; the place where the one before began to hear."""

    def replace_lost(self, leg: Leg, config: VoiceEngineConfig, code: str) -> None:
        """Let it be the leg at work, instead of one that is lost; it has not heard the user."""

    def feed(self, leg: Leg, event: ProviderEvent) -> None:
        """An event that was kept."""


class Places:
    """Why two change places, and what the core has to know of the one that takes over."""

    __slots__ = ("aliases", "answers", "code", "place", "speaking", "why")

    def __init__(self, why: str, code: str, new: Contender, turn_id: str | None) -> None:
        self.why, self.code = why, code
        #: Where in the user's audio it began to hear.
        self.place = new.place or 0
        self.aliases = new.aliases
        self.speaking = new.speaking
        self.answers = new.will_answer(turn_id)


class Hedge(Relay):
    """One for each session; does nothing until `begin` is given a configuration that asks for it."""

    def __init__(self, owner: Owner, now: Callable[[], float]) -> None:
        super().__init__(owner.core, now)
        self._owner = owner
        self._second = Second(owner, now, self._opened, self._gone)
        #: Ids of the user's items of which the one at work need not say any more what was said.
        self._muted = Recent(64)
        #: The reply of which it is decided who gives it.
        self._decided: Reply | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._feeding = False

    # -- life

    @property
    def on(self) -> bool:
        """Whether there is, or will be, a second one."""
        return self._second.config is not None

    @property
    def leg(self) -> Leg | None:
        """The second one, if it is open."""
        return self._other.leg if self._other is not None else None

    def begin(self, config: VoiceEngineConfig) -> None:
        """The application goes on with this configuration, which may ask for a second provider."""
        self.close()
        self._second.begin(config)

    def close(self) -> set[asyncio.Task[None]]:
        """There is to be no second one any more; returns the tasks that have yet to end."""
        if self._other is not None:
            self._gone(self._other.leg)
        return self._second.stop()

    def works(self, leg: Leg) -> None:
        """From now on, this leg is at work."""
        if self._work is None or self._work.leg is not leg:
            self._work = Contender(leg, None)

    def _opened(self, leg: Leg) -> None:
        config = self._second.config
        if self._core.recovering and config is not None:
            self._second.config = self._owner.config
            self._owner.replace_lost(leg, config, "closed")
            self._second.keep(None, PAUSE)
            return
        self._other = Contender(leg, None)
        self.look()

    def _gone(self, leg: Leg) -> None:
        self._other = None
        self._clear_patience()
        self._owner.listen_too(None)
        self._owner.retire(leg)

    def look(self) -> None:
        """Something has changed: what was said last may be told, and one that was opened may begin to hear."""
        other, core = self._other, self._core
        if other is None or not core.connected:
            return
        self._tell(other)
        if other.place is None and core.quiet:
            other.place = self._owner.listen_too(other.leg)

    def update(self, settings: dict[str, Any], kept: dict[str, Any]) -> None:
        """Settings have changed: those that are not of one provider alone hold for the other as well."""
        if self._second.config is None:
            return
        other, shared = self._other, {n: value for n, value in kept.items() if n not in OWN}
        known = True
        if "turn_detection" in kept:
            kind = kept["turn_detection"]
            can = other.leg.provider.capabilities.turn_detection if other is not None else ()
            known = kind == "none" or kind in can
            shared["turn_detection"] = kind if known else None
        self._second.config = self._second.config.with_changes(**shared)
        told = {name: value for name, value in settings.items() if name in shared}
        if other is not None and known:
            if told:
                self._tell_it(other, partial(other.leg.provider.update_session, **told))
            other.leg.config = self._second.config
            return
        if other is not None:
            self._gone(other.leg)
        self._second.keep(None)  # one that is being opened does not know of it

    # -- what they tell

    def mutes(self, event: ProviderEvent) -> bool:
        """Whether the one at work says again what the user said, which is known already."""
        return type(event) in _TRANSCRIPTS and event.item_id in self._muted  # type: ignore[attr-defined]

    def noticed(self, event: ProviderEvent, effects: Sequence[Any]) -> None:
        """The one at work has told of something, which led to these effects."""
        work, core, kind = self._work, self._core, type(event)
        if work is None or kind is ConnectionLost:
            return
        if not self._feeding:
            work.take(event, self._now())
            if kind in ENDS:
                work.dispose()
        if kind in (VadSpeechStarted, TurnDetected) and core.turn_id is not None:
            work.turn(event.item_id).ours = core.turn_id  # type: ignore[attr-defined]
            self._log_turn(core.turn_id, kind)
        if effects and self._is_output(kind):
            self._first_is_at_work()
        elif not self._feeding:
            self._decide()

    def heard(self, event: ProviderEvent) -> None:
        """The hidden one has told of something."""
        other, kind = self._hearing, type(event)
        if other is None:
            return
        other.take(event, self._now())
        saying = other.saying
        if kind is VadSpeechStarted:
            if saying is not None and not saying.over:
                other.lose(saying)  # it was cut, as any answer is
            self._clear_patience()
        elif kind is TurnDetected:
            self._answer(other, other.turn(event.item_id))  # type: ignore[attr-defined]
        if saying is None or kind not in _OF_RESPONSE:
            return
        if not saying.lost:
            saying.events.append(event)
            saying.spoken = saying.spoken or self._is_output(kind)
            if kind in ENDS and (kind is not ResponseCompleted or not saying.spoken):
                saying.lost = True
            elif len(saying.events) > MOST_KEPT:
                other.lose(saying)
        if kind in ENDS:
            other.dispose()
        self._decide()

    def _answer(self, other: Contender, heard: Heard) -> None:
        """It has heard a turn. One that does not answer by itself is asked, as the one at work is."""
        can = other.leg.provider.capabilities
        if can.auto_response or self._core.manual_turns or not self._core.auto_response:
            return
        other.asked.append(Asked(self._now(), heard))
        other.do(other.leg.provider.create_response)

    def _log_turn(self, item_id: str, kind: type[ProviderEvent]) -> None:
        turn = next((t for t in self._log if t.id == item_id), None)
        if turn is None:
            turn = LogTurn(item_id)
            self._log.append(turn)
        if kind is TurnDetected:
            turn.over = self._now()
        elif turn.began is None:
            turn.began = self._now()

    def _is_output(self, kind: type[ProviderEvent]) -> bool:
        if kind is TextOutput:
            return self._core.answers_in_text
        return kind is AudioOutputChunk or kind is FunctionInvoked

    # -- who speaks

    def _due(self) -> Reply | None:
        """The reply that is undecided: nothing of it was perceived, or called for, yet."""
        core, reply = self._core, self._core.replies.current
        if reply is None or reply.awaits_continuation or reply.had_calls:
            return None
        if isinstance(reply.asked, fx.Say) or reply is self._decided:
            return None
        if reply.state is ReplyState.DUE:
            return reply
        if reply.state is not ReplyState.ACTIVE and not reply.failed:
            return None
        items = [i for i in map(core.conversation.get, reply.items) if i is not None]
        spoken = any(i.audio_ms or (core.answers_in_text and i.text) for i in items)
        return None if spoken else reply

    def _first_is_at_work(self) -> None:
        reply, other = self._core.replies.current, self._hearing
        if reply is self._decided:
            return
        self._decided = reply
        if other is not None and not self._feeding:
            other.call_off()

    def _decide(self) -> None:
        """Look at what the hidden one is saying."""
        other = self._hearing
        saying = other.saying if other is not None else None
        if other is None or saying is None or saying.lost or (saying.over and not saying.spoken):
            return
        standing = self._standing(other, saying)
        if standing == "late":
            other.lose(saying)
        elif not saying.spoken:
            return
        elif standing == "due":
            self._win(other, early=False)
        elif self._patience is None:
            loop = asyncio.get_running_loop()
            seconds = self._owner.config.failover_after
            self._patience = loop.call_later(seconds, self._waited_enough)

    def _standing(self, other: Contender, saying: Saying) -> str:
        """due: it is waited for. early: it is to a turn that the one at work has yet to end. late: neither."""
        asked, core = saying.asked, self._core
        if asked is None or not core.connected:
            return "late"
        other.pair(self._log)
        due = self._due()
        if due is not None and asked.is_to(due.turn_id):
            return "due"
        heard = asked.heard
        if heard is None or core.replies.open is not None or core.state == "speaking":
            return "late"
        turn = core.conversation.get(heard.ours)
        goes_on = turn is not None and turn.id == core.turn_id and turn.status == "in_progress"
        return "early" if goes_on else "late"

    def _waited_enough(self) -> None:
        self._patience = None
        other = self._hearing
        saying = other.saying if other is not None else None
        if other is None or saying is None or saying.lost:
            return
        if self._standing(other, saying) == "late":
            other.lose(saying)
        else:
            self._win(other, early=True)

    def _clear_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _win(self, other: Contender, early: bool) -> None:
        """It was the first: the two change places, and what was kept of its answer is heard."""
        old = self._work
        saying = other.saying
        assert old is not None, "somebody is at work"
        assert saying is not None, "and the other speaks"
        kept, saying.events = saying.events, []
        turn = saying.asked.heard if early and saying.asked is not None else None
        old.place = self._change(other, Places("hedge", "", other, self._turn_due()))
        self._other = old
        old.call_off()
        self._second.keep(old.leg)
        self._feed(other, self._untold(other, turn) + kept)
        self._decided = self._core.replies.current

    def _turn_due(self) -> str | None:
        reply = self._core.replies.current
        return reply.turn_id if reply is not None else self._core.turn_id

    def _change(self, new: Contender, places: Places) -> int:
        old, config = self._work, self._second.config
        assert config is not None, "there is a second one only where one was asked for"
        self._clear_patience()
        if old is not None:
            # Whoever is at work knows the log, but for what was said without it.
            log = self._core.conversation
            old.leg.told.update(i.id for i in log if i.provider != "voxengine")
        for heard in new.turns:
            if heard.id is not None and heard.ours in self._core.transcribed:
                self._muted.add(heard.id)
        self._second.config = self._owner.config
        self._work, self._other = new, None
        return self._owner.change_places(new.leg, config, places)

    def _untold(self, new: Contender, turn: Heard | None) -> list[ProviderEvent]:
        """What it has told of the user, and what the one before had not."""
        events: list[ProviderEvent] = []
        for heard in new.turns:
            if heard is turn:
                began = self._core.user_speaking or heard.ours is not None
                events += [
                    e for k, e in heard.events.items() if not (k is VadSpeechStarted and began)
                ]
            elif heard.ours in self._core.unwritten:
                events += [e for k, e in heard.events.items() if k in _TRANSCRIPTS]
        return events

    def _feed(self, new: Contender, events: list[ProviderEvent]) -> None:
        self._feeding = True
        try:
            for event in events:
                self._owner.feed(new.leg, event)
        finally:
            self._feeding = False

    # -- the one at work is lost

    def replaces(self, event: ConnectionLost) -> bool:
        """Take over from the one at work, which is lost. False if there is nobody who could."""
        other, config = self._other, self._second.config
        if other is None or config is None or other.leg.lost is not None:
            return False
        if other.place is None:
            self._other, self._second.config = None, self._owner.config
            self._owner.replace_lost(other.leg, config, event.code)
        else:
            other.pair(self._log)
            saying = other.saying
            waits = saying is not None and not saying.lost
            kept: list[ProviderEvent] = []
            if waits and saying is not None:
                kept, saying.events = saying.events, []
            self._tell(other, playing=True)
            current = other.turns[-1] if other.speaking and other.turns else None
            turn = current if current is not None and current.ours is None else None
            self._change(other, Places("failover", event.code, other, self._turn_due()))
            self._feed(other, self._untold(other, turn) + kept)
        self._second.keep(None, PAUSE)
        return True
