"""`TurnsProvider`: a provider over a WebSocket whose vendor finds the turns, and tells of them in a way of its own.

The vendor's `Turns` make events of its messages; this tells the events, and sees to it that the ends which nobody tells
are found in time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from voxengine import events as ev
from voxengine.config import ProviderConfig
from voxengine.conversation.items import Item
from voxengine.errors import UnsupportedFeatureError
from voxengine.providers.socket_provider import SocketProvider
from voxengine.providers.turns import BaseTurns

__all__ = ["GO_ON", "LOCAL", "MAX_CALLS", "Calls", "TurnsProvider"]

#: Calls of tools that may wait for a result. The oldest is forgotten: the agent has gone on without it.
MAX_CALLS = 64

#: What is said in the user's name where a response is wanted, and there are no instructions for it.
GO_ON = "It is your turn: answer what was said last, or go on."

#: Settings that are ours alone, and so can be changed at any time.
LOCAL = frozenset({"transcription", "partials", "vad_events"})

V = TypeVar("V")


class Calls(dict[str, V]):
    """Calls of tools that wait for a result, by id, with what has to be known of each; at most `MAX_CALLS`."""

    def add(self, call_id: str, known: V) -> None:
        """A tool was called."""
        self[call_id] = known
        if len(self) > MAX_CALLS:
            del self[next(iter(self))]


class TurnsProvider(SocketProvider):
    """Tells what its `_turns` make of the messages. A vendor's `__init__` sets them, and calls `set_local`."""

    #: What the vendor's agent is called where it cannot do something.
    title: ClassVar[str]
    _turns: BaseTurns[Any]

    def __init__(self, config: Mapping[str, Any] | ProviderConfig | None = None) -> None:
        super().__init__(config)
        self._history: list[Item] = []
        self._timer: asyncio.TimerHandle | None = None

    def unsupported(self, what: str) -> UnsupportedFeatureError:
        """The error for something that the vendor's agent cannot do."""
        return UnsupportedFeatureError(f"{self.title} does not offer {what}", provider=self.name)

    def set_local(self) -> None:
        """The settings of `LOCAL` are as the configuration has them."""
        config, turns = self.config, self._turns
        turns.transcripts = config.transcription is not False
        turns.partials = config.partials is not False
        turns.vad_events = config.vad_events is not False

    def end_response(self, code: str | None) -> None:
        """Tell the end of what is being said; nothing else ends any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        response_id = self._turns.forget()
        if response_id is not None:
            self.tell_end(response_id, code)

    # -- to tell

    def tell(self, events: Sequence[ev.ProviderEvent]) -> None:
        """Tell of these events, as long as the session stands."""
        stands = self.at_work
        for event in events:
            kind = type(event)
            if kind is ev.AudioOutputChunk or kind is ev.TextOutput:
                # What there is most of goes the short way.
                if stands:
                    self.stream(event)
                continue
            self.emit(event)
            self.told(event)
        self._arm()

    def told(self, event: ev.ProviderEvent) -> None:
        """An event was told that is neither a chunk of audio nor a piece of text: what follows from it."""

    def _arm(self) -> None:
        """See to it that the ends which nobody tells us are found. A timer that is too early is set anew."""
        deadline = self._turns.deadline
        if deadline is None:
            return
        if self._timer is not None and deadline < self._timer.when():
            self._timer.cancel()
            self._timer = None
        if self._timer is None and self.at_work:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.tell(self._turns.tick(self.now()))

    def now(self) -> float:
        """Seconds of the loop's clock."""
        return asyncio.get_running_loop().time()

    # -- what is asked of it

    async def interrupt(self) -> None:
        """Without a response under way, nothing happens.

        Raises:
            UnsupportedFeatureError: one is. The agent stops by itself when it hears the user; it cannot be told to.
        """
        self.open_socket()
        if self._turns.response_id is not None:
            raise self.unsupported("calling off what it says")

    async def add_conversation_history(self, items: Sequence[Item]) -> None:
        """Give it an earlier conversation, before `connect`. Of a long one, the end is told.

        Raises:
            MessageError: it comes too late (`history_late`).
        """
        if items:
            self.need_early("the connection is opened", late=self.begun)
            self._history += items
