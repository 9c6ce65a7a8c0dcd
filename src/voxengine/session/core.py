"""The session's state machine: `apply(event, now) -> effects`.

No I/O, no clock, no randomness: the same events at the same times give the same effects, so every race is a line of a
test. `now` is the loop's time in seconds. What arrives is either an event of the provider or a command
(`voxengine.session.effects`); the table at the end of this module says which rule takes which. The rules themselves are
functions of the core and the event, a module for each concern, in `voxengine.session.rules`:

- commands: what the application asks for.
- user: speech, turns and transcripts of the user become items of the log.
- assistant: responses, their text and their audio. At most one response is due or under way; asking for another while
  one is asks again when it has ended. What arrives of a response after it was called off does not count.
- cutting: when the user begins to speak while an answer is due, under way or still playing, it is cut to what was
  heard. If nothing of it was heard, it is void, and the user's turn goes on as if there had been no pause.
- announcing: what the session says by itself, without a provider.
- editing: items that the application puts in, takes out and shortens.
- injecting: notes of the application, each at its moment. Comes after every other rule.
- tools: a call is run once, whatever is repeated; the answer after it is watched for, and asked for again.
- trouble: timers, errors, lost connections. Every state in which we wait for the provider has a timer.
- turns: whose audio may be needed again, and which item a turn belongs to that another connection hears once more.
- outage: a connection is lost and another goes on: what was left open is kept, and asked for again.
- hearing: the application's own ear tells when the user speaks, and not the provider.
- hedging: a connection takes over that has heard the user all the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from voxengine import events as ev
from voxengine.audio.formats import ENCODINGS
from voxengine.audio.playout import PlayoutClock
from voxengine.conversation import Conversation, Item
from voxengine.events import ProviderEvent
from voxengine.providers.capabilities import Capabilities
from voxengine.session import effects as fx
from voxengine.session.calls import Call, Calls
from voxengine.session.effects import PASS, Effect
from voxengine.session.latency import TurnLatency
from voxengine.session.notes import Notes
from voxengine.session.replies import Recent, Replies, Reply, ReplyState
from voxengine.session.rotation import Rotation
from voxengine.session.rules import (
    announcing,
    assistant,
    commands,
    cutting,
    editing,
    hearing,
    hedging,
    injecting,
    outage,
    tools,
    trouble,
    turns,
    user,
)

__all__ = ["CoreOptions", "SessionCore"]


class CoreOptions(msgspec.Struct, frozen=True):
    """What the core has to know of the configuration. Times are seconds."""

    response_timeout: float = 15.0
    stall_timeout: float = 20.0
    #: Answers are text only, by configuration.
    text_only: bool = False
    #: The application ends the user's turns, and asks for the answers.
    manual_turns: bool = False
    #: A connection that is lost will be opened anew, so that what was left open is kept.
    recovers: bool = False
    #: Seconds before the longest time of a connection from which on another one takes over.
    #: Seconds that an answer may be due without a sign of it, before another provider takes over; None: there is none.
    failover_after: float | None = None
    rotation_margin: float = 300.0
    #: Measure the latencies of each turn, and tell of every change of the log.
    metrics: bool = True
    #: The provider is asked to write down what the user says.
    transcripts: bool = True
    #: Unix time at which the loop's clock was zero, for the timestamps of events that the core makes.
    epoch: float = 0.0
    #: A turn is answered by itself, and the user's speech cuts an answer: as things are to begin with.
    auto_response: bool = True
    interruptions: bool = True
    #: Names of the tools after whose results no answer is asked for, to begin with.
    silent_tools: frozenset[str] = frozenset()


class SessionCore:
    """The truth about one conversation. The attributes are written by the rules alone."""

    def __init__(
        self,
        conversation: Conversation,
        options: CoreOptions | None = None,
        playout: PlayoutClock | None = None,
    ) -> None:
        self.conversation = conversation
        self.options = options or CoreOptions()
        self.playout = playout or PlayoutClock()
        self.capabilities = Capabilities()
        #: Name of the provider at work, and whether it can be reached.
        self.provider = ""
        self.connected = False
        #: It cannot, and the runner is about to put that right.
        self.recovering = False
        #: It can, and another one is to take over because it does not do its work.
        self.failing_over = False
        #: When the connection has to be replaced, where the provider ends each after some time.
        self.rotation: Rotation | None = None
        #: idle, listening (the user speaks), thinking (an answer is due), speaking (it plays), closed.
        self.state = "idle"
        self.state_since = 0.0
        self.user_speaking = False
        self.manual_turns = self.options.manual_turns
        self.auto_response = self.options.auto_response
        self.interruptions = self.options.interruptions
        self.silent_tools = self.options.silent_tools
        #: What is at hand was not heard by the provider, which has therefore not stopped by itself.
        self.own_ear = False
        #: Turns that the application has ended by hand, and of which the provider has not told yet.
        self.by_hand = 0
        #: The user's item that is being said, or was said last.
        self.turn_id: str | None = None
        #: Where in all input audio the speech began that is going on, where the provider tells.
        self.speech_from_ms: float | None = None
        self.replies = Replies()
        self.calls = Calls(conversation, lambda: self.new_id("call"))
        self.latency = TurnLatency()
        self.notes = Notes()
        #: The user's items whose audio is kept, and when they are settled, if that is known.
        self.kept: dict[str, float | None] = {}
        #: The user's items whose words are known, and those of which it was told that the turn was over.
        self.transcribed = Recent(64)
        self.detected = Recent(64)
        #: Those of which it was told that the turn was over, and not yet what was said.
        self.unwritten = Recent(64)
        #: The user's items that the present connection hears once more and has not told of yet, in order; and our ids
        #: of those of which it has, by its own.
        self.reopened: list[str] = []
        self.aliases: dict[str, str] = {}
        #: Ids that were in the log before the present connection: what it calls by one of them is another item.
        self.taken: frozenset[str] = frozenset()
        #: Items that the provider at work knows by no id of ours, and the user's texts that it was not told of yet.
        self.nameless: set[str] = set()
        self.untold: list[str] = []
        #: Results of tools that the provider would answer unasked.
        self.held_results: list[tuple[Call, Item]] = []
        #: Its memory is not as the log is; another connection is being opened for that; not before this time.
        self.stale = self.renewing = False
        self.renew_at = 0.0
        #: Items that the application took out; and those that were cut before any of it was heard, with the item
        #: before each.
        self.deleted = Recent(64)
        self.cut_out: dict[str, tuple[Item, str | None]] = {}
        #: Items that the application took out or shortened while their response was being made.
        self.edited = Recent(64)
        #: How many milliseconds of its items the provider was told were heard.
        self.cut_there: dict[str, float] = {}
        #: Items whose audio has not been played to its end, and the one of them that the audio path goes to.
        self.sounding: dict[str, Item] = {}
        self.speaking: Item | None = None
        #: The assistant's items that came over the present connection.
        self.own_items: set[str] = set()
        self.last_activity = 0.0
        #: Bytes of the item being spoken that came by the audio path and are in no account yet.
        self._unbooked = 0
        self._ms_per_byte = self._s_per_byte = 0.0
        #: Unix time at which all audio will have been played that came by the audio path and before it.
        self._dry_at = 0.0
        #: Time and effects of the event at hand.
        self.now = 0.0
        self.out: list[Effect] = []
        self._seen = Recent(512)
        if self.options.metrics:
            conversation.on_change = self._log_changed
        self._count = 0

    def apply(self, event: ProviderEvent | fx.Command, now: float) -> Sequence[Effect]:
        """Take one event or command; returns what is to be done, in order.

        `PASS` (by identity) means: hand the event on, nothing else.
        """
        kind = type(event)
        if kind is ev.AudioOutputChunk and self.next_chunk(event):  # type: ignore[arg-type]
            return PASS
        if kind is ev.TextOutput and self.next_words(event):  # type: ignore[arg-type]
            return PASS
        self.book(now)
        if self.state == "closed":
            return []
        self.now = now
        out: list[Effect] = []
        self.out = out
        if isinstance(event, ProviderEvent):
            if event.event_id is not None:
                if event.event_id in self._seen:
                    return out
                self._seen.add(event.event_id)
            self.last_activity = now
        rule = _RULES.get(kind)
        if rule is not None:
            rule(self, event)
        elif isinstance(event, ProviderEvent):
            out.append(event)
        if self.kept:
            turns.release(self)
        self._update_state()
        if self.notes.any and self.state != "closed":
            injecting.look(self, event)
            self._update_state()
        if self.connected:
            self._look_at_connection()
        return out

    def _look_at_connection(self) -> None:
        """Whether another one is to take over, though this one is all right."""
        if self.stale:
            editing.look(self)
        rotation = self.rotation
        if rotation is not None and rotation.wanted(self.now, self.quiet, self.answering):
            self.out.append(fx.Rotate())

    def next_chunk(self, event: ev.AudioOutputChunk) -> bool:
        """The audio path: one more chunk of the item that is being spoken. True if that is all there is to it.

        Nothing is done with it here but to count its bytes; `book` does the rest when it is next needed. A chunk that
        was made after the queue had run dry begins anew, which is not done here. All chunks of an item have one format.
        """
        item = self.speaking
        if (
            item is None
            or event.item_id != item.id
            or event.event_id is not None
            or not 0.0 < event.timestamp < self._dry_at
        ):
            return False
        n = len(event.audio_data)
        self._unbooked += n
        self._dry_at += n * self._s_per_byte
        return True

    def book(self, now: float) -> None:
        """Put what the audio path has counted into the item and the playout clock."""
        item, n = self.speaking, self._unbooked
        if item is None or not n:
            return
        self._unbooked = 0
        ms = n * self._ms_per_byte
        item.audio_ms += ms
        self._dry_at = self.playout.extend(item.id, ms, now) + self.options.epoch
        self.last_activity = now

    def next_words(self, event: ev.TextOutput) -> bool:
        """Some more words of the item that is being spoken, while its audio is. True if that is all there is to it."""
        item, reply = self.speaking, self.replies.current
        if (
            item is None
            or reply is None
            or reply.state is not ReplyState.ACTIVE
            or event.item_id != item.id
            or event.response_id != reply.id
            or event.event_id is not None
            or not 0.0 < event.timestamp < self._dry_at
            or self.state != "speaking"
            or reply.implied
            or reply.awaits_continuation
            or self.latency.first_token is None
        ):
            return False
        self.book(event.timestamp - self.options.epoch)
        item.add_text(event.text, event.audio_start_ms, event.audio_end_ms)
        return True

    def speak(self, item: Item, event: ev.AudioOutputChunk) -> None:
        """Let the chunks that follow of this item take the audio path."""
        self.speaking = item
        self._ms_per_byte = _ms_per_byte(event)
        self._s_per_byte = self._ms_per_byte / 1000
        self._dry_at = self.playout.end_time(self.now) + self.options.epoch

    def add_audio(self, item: Item, event: ev.AudioOutputChunk, now: float) -> None:
        """Count a chunk as received, and let it play after what came before."""
        ms = len(event.audio_data) * _ms_per_byte(event)
        item.audio_ms += ms
        self.playout.push(item.id, ms, now)

    # -- for the rules

    @property
    def quiet(self) -> bool:
        """Nobody speaks, and nothing is waited for."""
        return self.state == "idle" and self.replies.pending is None

    @property
    def answering(self) -> bool:
        """An answer is due or under way."""
        return self.replies.open is not None

    @property
    def owes_answer(self) -> bool:
        """As `answering`; or it is asked for as soon as another connection knows the conversation as it stands."""
        return self.answering or (self.stale and self.replies.pending is not None)

    @property
    def answers_in_text(self) -> bool:
        """Answers have no audio, so their text is perceived when it arrives."""
        return self.options.text_only or not self.capabilities.audio_output

    def emit(self, cls: type[ProviderEvent], **fields: Any) -> None:
        """Tell the application of something that the core found out."""
        self.out.append(
            cls(timestamp=self.now + self.options.epoch, provider=self.provider, **fields)
        )

    def warn(self, code: str, words: str) -> None:
        """Tell of something that was put right."""
        self.emit(ev.SystemWarning, code=code, message=words)

    def set_timer(self, name: str, seconds: float) -> None:
        """Have `TimerFired(name)` reported so many seconds from now."""
        self.out.append(fx.SetTimer(name, self.now + seconds))

    def clear_timer(self, *names: str) -> None:
        """Forget timers."""
        self.out.extend(fx.ClearTimer(name) for name in names)

    def expect(self, ours: bool, asked: fx.CreateResponse | fx.Say | None = None) -> Reply:
        """A response to the present turn is due."""
        self.set_timer("response", self.options.response_timeout)
        if self.options.failover_after is not None:
            self.set_timer("overdue", self.options.failover_after)
        reply = self.replies.expect(self.turn_id, ours, asked)
        reply.due_at = self.now
        return reply

    def asked_since(self, turn: Item) -> bool:
        """Whether the user has said something else after this: a provider answers what was said last."""
        users = (i for i in reversed(self.conversation.items) if i.role == "user" and i.text)
        return next(users, turn) is not turn

    def request(self, command: fx.CreateResponse) -> None:
        """Ask the provider for a response; later, if it does not know the conversation as it stands."""
        if self.stale:
            self.replies.pending = command
            return
        if self.untold and editing.ask_with_text(self, command):
            return
        if self.held_results and tools.go_on_with_held(self, command):
            return
        turn = self.conversation.get(command.turn_id)
        if turn is not None and turn.text and (command.overtaken or self.asked_since(turn)):
            self.expect(ours=True).turn_id = turn.id
            self.out.append(fx.SendText(turn.text, "user"))
            return
        self.expect(ours=True, asked=command)
        self.out.append(
            fx.RequestResponse(command.modalities, command.instructions, command.overrides)
        )

    def call_off(self, response_id: str | None = None) -> None:
        """Tell the provider to stop. If it cannot, what still comes of it does not count."""
        self.out.append(fx.CancelResponse(response_id))

    def new_id(self, prefix: str) -> str:
        """An id that is new in this conversation."""
        while True:
            self._count += 1
            new = f"{prefix}_{self.conversation.id or 'v'}_{self._count}"
            if new not in self.conversation:  # which may be older than this core
                return new

    def our_id(self, item_id: str) -> str:
        """The id that an item has in the log, by the one that the present connection gives to it."""
        known = self.aliases.get(item_id)
        if known is None and item_id in self.taken:
            known = self.aliases[item_id] = self.new_id("item")
        return item_id if known is None else known

    def their_id(self, item_id: str) -> str:
        """What the present connection calls an item of the log."""
        return next((theirs for theirs, ours in self.aliases.items() if ours == item_id), item_id)

    def begin_leg(self, command: fx.Attached | fx.Reattached | fx.HedgeTookOver) -> None:
        """Another connection is at work, which counts its events, responses and calls by itself."""
        self._seen.clear()
        self.aliases.clear()
        knows_them = isinstance(command, fx.Reattached) and command.resumed
        self.taken = frozenset() if knows_them else frozenset(i.id for i in self.conversation)
        self.own_items.clear()
        self.cut_there.clear()
        self.edited.clear()
        self.renewing = False
        if not knows_them:
            self.stale = False
            self.nameless.clear()
            if command.capabilities.history != "none":
                self.untold.clear()  # the log has them
                self.held_results.clear()
                self.notes.prefix.clear()
        self.calls.next_leg()
        if not self.provider:
            self.state_since = self.now
        self.provider, self.capabilities = command.provider, command.capabilities
        self.connected, self.recovering, self.failing_over = True, False, False
        self.user_speaking = False
        self.by_hand = 0
        self.speech_from_ms = None
        limit = self.capabilities.max_connection_seconds
        self.rotation = None
        if limit is not None:
            self.rotation = Rotation(command.opened_at, limit, self.options.rotation_margin)
            self.out.append(fx.SetTimer("rotation", self.rotation.next_look))

    def add(self, item: Item, *, before: str | None = None, after: str | None = None) -> Item:
        """Put an item into the log."""
        item.created_at = item.created_at or self.now + self.options.epoch
        item.provider = item.provider or self.provider
        return self.conversation.add(item, before=before, after=after)

    # -- state

    def _update_state(self) -> None:
        if self.state == "closed":
            return
        if self.user_speaking:
            self.go("listening")
        elif self.playout.remaining_ms(self.now) > 0.5:  # less is a matter of rounding
            self.go("speaking")
        elif self.replies.open is not None:
            self.go("thinking")
        else:
            self.go("idle")

    def _log_changed(self, action: str, item: Item) -> None:
        # A copy: the item itself goes on changing.
        self.emit(
            ev.ConversationUpdated,
            action=action,
            item=msgspec.structs.replace(item, spans=list(item.spans)),
        )

    def go(self, state: str) -> None:
        """Enter a state, and tell of it."""
        if state != self.state:
            previous, self.state = self.state, state
            self.state_since = self.now
            self.emit(ev.StateChanged, previous=previous, state=state)


def _ms_per_byte(event: ev.AudioOutputChunk) -> float:
    return 1000.0 / (ENCODINGS[event.encoding] * event.sample_rate)


_RULES: dict[type, Callable[[SessionCore, Any], None]] = {
    fx.Attached: commands.attached,
    fx.Reattached: outage.reattached,
    fx.HedgeTookOver: hedging.took_over,
    fx.GaveUp: outage.gave_up,
    fx.RotationFailed: trouble.rotation_failed,
    fx.FailOverFailed: trouble.fail_over_failed,
    fx.HandOver: outage.hand_over,
    fx.Configured: editing.configured,
    fx.AddItem: editing.add_item,
    fx.DeleteItem: editing.delete_item,
    fx.TruncateItem: editing.truncate_item,
    fx.RenewalFailed: editing.renewal_failed,
    fx.Text: commands.text,
    fx.CreateResponse: commands.create_response,
    fx.HearSpeech: hearing.speech,
    fx.HearTurn: hearing.turn,
    fx.NameTurn: hearing.name_turn,
    fx.Say: commands.say,
    fx.Announce: announcing.announce,
    fx.Inject: injecting.inject,
    fx.CancelInjection: injecting.cancel,
    fx.NoteTaken: injecting.taken,
    fx.NoteRefused: injecting.refused,
    fx.Interrupt: commands.interrupt,
    fx.PlaybackAck: commands.playback_ack,
    fx.Close: commands.close,
    ev.SessionUpdated: commands.session_updated,
    ev.VadSpeechStarted: user.speech_started,
    ev.VadSpeechEnded: user.speech_ended,
    ev.TurnDetected: user.turn_detected,
    ev.TranscriptPartial: user.transcript_partial,
    ev.TranscriptCompleted: user.transcript_completed,
    ev.TranscriptFailed: user.transcript_failed,
    ev.ResponseStarted: assistant.response_started,
    ev.TextOutput: assistant.text_output,
    ev.AudioOutputChunk: assistant.audio_output,
    ev.TimingStage: assistant.timing_stage,
    ev.ResponseCompleted: assistant.response_completed,
    ev.ResponseCancelled: assistant.response_cancelled,
    ev.ResponseError: assistant.response_error,
    ev.ConversationInterrupted: cutting.corrected,
    ev.FunctionInvoked: tools.function_invoked,
    ev.FunctionCancelled: tools.function_cancelled,
    fx.ToolFinished: tools.tool_finished,
    fx.CallFailed: trouble.call_failed,
    fx.TimerFired: trouble.timer_fired,
    ev.ErrorGeneral: trouble.error,
    ev.ConnectionLost: trouble.connection_lost,
    ev.ConnectionClosed: trouble.connection_closed,
    ev.ConnectionExpiring: trouble.connection_expiring,
}
