"""One session: its connection, its parts, its timers. What the client's events do to it is in `commands`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from voxengine.providers.mock.faults import FaultPlan
from voxengine.realtime.errors import Complaint
from voxengine.testing.emulators.faults import Expire
from voxengine.testing.emulators.openai.commands import Commands, parsed
from voxengine.testing.emulators.openai.dialects import Dialect
from voxengine.testing.emulators.openai.hearing import Hearing
from voxengine.testing.emulators.openai.items import Conversation, Item
from voxengine.testing.emulators.openai.outbox import Outbox
from voxengine.testing.emulators.openai.planning import plan_response
from voxengine.testing.emulators.openai.replies import Mind
from voxengine.testing.emulators.openai.responder import Pace, Responder
from voxengine.testing.emulators.openai.response import Response
from voxengine.testing.emulators.openai.settings import Settings
from voxengine.testing.emulators.openai.striking import strike
from voxengine.testing.emulators.openai.usage import Total
from voxengine.testing.emulators.server import Socket
from voxengine.testing.emulators.voice import Voice

if TYPE_CHECKING:
    from voxengine.testing.oracles.judge import Judge

__all__ = ["Session", "World"]

#: Events of a client that are remembered by their type, and refusals; more are done, but not remembered.
MAX_REMEMBERED = 100_000

_log = logging.getLogger(__name__)


class World(NamedTuple):
    """What all sessions of an emulator share."""

    dialect: Dialect
    #: A part of every id, so that two emulators have none in common.
    mark: str
    mind: Callable[[], Mind]
    voice: Voice
    pace: Pace
    faults: FaultPlan
    judge: Judge | None
    transcript_delay_ms: float
    #: Told of what was wrong with an event that was sent, and of failures of the emulator itself.
    on_violation: Callable[[str], None]
    #: Told of every session that has ended.
    on_closed: Callable[[Session], None]
    #: Conversations that can be taken up again, by id.
    kept: dict[str, Conversation]
    #: Told of every event that a session sends.
    watch: Callable[[Session, dict[str, Any] | None], None] | None


class Session:
    """A connection to the emulator. A `SocketHandler`.

    `first` are the settings that its key was made with; `flaps`: it is dropped at once. A `conversation` that has
    items is one that is taken up again.
    """

    def __init__(
        self,
        number: int,
        world: World,
        settings: Settings,
        conversation: Conversation,
        first: dict[str, Any] | None = None,
        flaps: bool = False,
    ) -> None:
        self.number = number
        self.id = settings.session_id
        #: Types of the events that the client sent, in their order.
        self.received: list[str] = []
        #: The client's events that were refused: (type, code of the error).
        self.refused: list[tuple[str, str | None]] = []
        self.closed = False
        self.settings = settings
        self.conversation = conversation
        #: What it shares with the other sessions.
        self.world = world
        self._first = first
        self._flaps = flaps
        self._count = 0
        self._socket: Socket | None = None
        self._outbox: Outbox | None = None
        self._responder: Responder | None = None
        self._hearing: Hearing | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._ping: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._commands = Commands(self)

    # -- for those who watch

    @property
    def items(self) -> list[Item]:
        """The items of the conversation, in their order."""
        return self.conversation.items

    @property
    def config(self) -> dict[str, Any]:
        """The session object, as `session.updated` tells it."""
        return self.settings.wire()

    @property
    def usage(self) -> Total:
        """What its responses have used."""
        return Total() if self._responder is None else self._responder.meter.total

    @property
    def responder(self) -> Responder:
        """What makes its responses."""
        assert self._responder is not None, "the session is not open yet"
        return self._responder

    @property
    def hearing(self) -> Hearing:
        """What hears its input."""
        assert self._hearing is not None, "the session is not open yet"
        return self._hearing

    @property
    def outbox(self) -> Outbox:
        """Its way out."""
        assert self._outbox is not None, "the session is not open yet"
        return self._outbox

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """Its tasks that have not ended."""
        return self._tasks

    def send(self, event: dict[str, Any]) -> None:
        """Send any event, such as one whose cause lies outside of this emulator. It is judged as all are."""
        self.outbox.send(event)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection; 1006 cuts it."""
        if self._socket is not None:
            if code == 1006:
                self._socket.kill()
            else:
                self._socket.close(code, reason)

    # -- the socket

    def on_open(self, socket: Socket) -> None:
        """Begin: say hello, and set the timers."""
        self._socket = socket
        if self._flaps:
            socket.kill()
            return
        world = self.world
        self._outbox = outbox = Outbox(
            socket,
            world.judge,
            world.faults,
            world.on_violation,
            f"{world.mark}{self.number}",
            None if world.watch is None else self._watched,
        )
        mind = world.mind()
        self._responder = Responder(
            outbox,
            self.conversation,
            mind,
            world.voice,
            world.pace,
            world.faults,
            self.new_id,
            self._spawn,
            partial_usage=world.dialect.partial_usage,
        )
        self._hearing = Hearing(
            self.settings,
            outbox,
            self.conversation,
            mind,
            world.voice,
            self.new_id,
            self._spawn,
            world.transcript_delay_ms,
        )
        self._responder.strike = partial(strike, self)
        self._responder.on_end = self._response_ended
        self._hearing.answer = self._answer_turn
        self._hearing.interrupt = self._responder.interrupt
        self._greet()
        self._set_timers()

    def on_message(self, message: str | bytes) -> None:
        """Do what an event of the client asks for."""
        try:
            if isinstance(message, bytes):
                self._binary(message)
            else:
                self._text(message)
        except Exception as failure:  # of the emulator: the test that runs it must know
            self._failed(failure)

    def on_close(self) -> None:
        """The connection is gone: leave nothing behind."""
        self.closed = True
        for timer in self._timers:
            timer.cancel()
        if self._ping is not None:
            self._ping.cancel()
        if self._outbox is not None:
            self._outbox.close()
            self.hearing.stop_waiting()
        for task in self._tasks:
            task.cancel()
        self.world.on_closed(self)

    # -- beginning

    def _greet(self) -> None:
        dialect = self.world.dialect
        if self._first is not None:
            self.settings.update(self._first, has_spoken=False)
            self.hearing.configure()
        if dialect.resumable:
            conversation = {"id": self.conversation.id, "object": "realtime.conversation"}
            self.send({"type": "conversation.created", "conversation": conversation})
        self.send({"type": "session.created", "session": self.settings.wire()})
        for item in self.items:  # of the conversation that is taken up again
            self.tell("conversation.item.added", item)

    def _set_timers(self) -> None:
        loop = asyncio.get_running_loop()
        for seconds, fault in self.world.faults.connected():
            self._timers.append(loop.call_later(seconds, strike, self, fault))
        dialect = self.world.dialect
        self._timers.append(loop.call_later(dialect.max_session_s, strike, self, Expire()))
        if dialect.ping_s is not None:
            self._ping = loop.call_later(dialect.ping_s, self._send_ping, dialect.ping_s)

    def _send_ping(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self.send({"type": "ping", "timestamp": round(loop.time() * 1000)})
        self._ping = loop.call_later(seconds, self._send_ping, seconds)

    def _watched(self, event: dict[str, Any]) -> None:
        assert self.world.watch is not None
        self.world.watch(self, event)

    def new_id(self, kind: str) -> str:
        """An id that no other thing of any emulator has."""
        self._count += 1
        return f"{kind}_{self.world.mark}{self.number}_{self._count}"

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            self._failed(failure)

    def _failed(self, failure: BaseException) -> None:
        _log.error("the emulator failed", exc_info=failure)
        self.world.on_violation(f"the emulator failed: {type(failure).__name__}: {failure}")
        self.close(1011, "internal error")

    # -- the client's events

    def _text(self, message: str) -> None:
        judge = self.world.judge
        wrong = judge.client(message) if judge is not None else []
        event_id: str | None = None
        kind = "?"
        try:
            event = parsed(message)
            given = event.get("event_id")
            event_id = given if isinstance(given, str) else None
            kind = str(event.get("type", kind))
            self._note(kind)
            self._commands.do(event, wrong)
        except Complaint as complaint:
            self._refuse(kind, complaint, event_id)

    def _binary(self, message: bytes) -> None:
        if self.settings.input.get("transport") == "binary":
            self._note("(binary audio)")
            try:
                self.hearing.append(message)
            except Complaint as complaint:
                self._refuse("(binary audio)", complaint, None)
        else:
            text = "Binary messages are not supported; send events as text."
            self._refuse("(binary)", Complaint(text, "invalid_value"), None)

    def _note(self, kind: str) -> None:
        if len(self.received) < MAX_REMEMBERED:
            self.received.append(kind)

    def _refuse(self, kind: str, complaint: Complaint, event_id: str | None) -> None:
        if len(self.refused) < MAX_REMEMBERED:
            self.refused.append((kind, complaint.code))
        self.outbox.send(complaint.event(event_id))

    def tell(self, kind: str, item: Item) -> None:
        """Send an event about an item, with its place."""
        before = self.conversation.before(item)
        self.send({"type": kind, "previous_item_id": before, "item": item.wire()})

    # -- responses

    def _answer_turn(self, idle: bool) -> None:
        try:
            plan = plan_response(self.settings, {}, list(self.items), idle=idle)
            self.responder.create(plan)
        except Complaint as complaint:  # one is active, and may not be interrupted
            self.outbox.send(complaint.event(None))

    def _response_ended(self, response: Response) -> None:
        if response.plan.joins and not self.closed and response.status == "completed":
            loop = asyncio.get_running_loop()
            since = response.audio_since
            playing = 0.0 if since is None else since + response.audio_ms / 1000 - loop.time()
            self.hearing.wait_for_user(max(0.0, playing))
