"""One client's session: what it sends goes to the engine of its call, what that tells goes back in OpenAI's form.

`commands` are the client's events, `input` is its audio, `told` what it is told of its own speech, `output` what it is
told of responses and items, `settings` and `adapting` are the session object and what the engine makes of it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from voxengine import events as ev
from voxengine.errors import (
    AudioError,
    ConfigurationError,
    MessageError,
    ProviderError,
    SessionClosedError,
    ToolError,
    UnsupportedFeatureError,
    VoiceEngineError,
)
from voxengine.gateway.peer import Peer
from voxengine.gateway.refusal import Refused
from voxengine.gateway.wire.adapting import Adapter
from voxengine.gateway.wire.audio import Speaker
from voxengine.gateway.wire.commands import Commands
from voxengine.gateway.wire.input import Input
from voxengine.gateway.wire.legacy import session_for_beta
from voxengine.gateway.wire.outbox import Outbox
from voxengine.gateway.wire.output import Output
from voxengine.gateway.wire.patience import Patience
from voxengine.gateway.wire.settings import Settings
from voxengine.realtime.errors import Complaint

if TYPE_CHECKING:
    from voxengine.gateway.call import Call
    from voxengine.gateway.gateway import Gateway

__all__ = ["RealtimeSession", "complaint_of"]

logger = logging.getLogger("voxengine.gateway")

#: Close code of a call whose provider is lost, where that gave none of its own.
PROVIDER_LOST = 1011
#: Seconds for which an apology may be heard before the call ends.
APOLOGY_BUDGET = 15.0
#: Bytes of a reason for closing (RFC 6455, 5.5.1).
_REASON = 120


class RealtimeSession:
    """A `PeerHandler` that speaks OpenAI's Realtime wire.

    Args:
        gateway: whose client it is.
        call: what it talks to. When its client comes back, another session takes over from this one.
        beta: the client speaks the beta's form.
        rtc: audio travels beside the messages, by WebRTC.
        speaker: where the assistant's audio goes then.
    """

    def __init__(
        self,
        gateway: Gateway,
        call: Call,
        *,
        beta: bool = False,
        rtc: bool = False,
        speaker: Speaker | None = None,
    ) -> None:
        self.gateway = gateway
        self.call = call
        self.beta = beta
        self.rtc = rtc
        self.speaker = speaker
        self.settings = Settings.of_call(call, beta=beta)
        self.peer: Peer | None = None
        self.outbox: Outbox
        self.input: Input
        self.output: Output
        self.commands = Commands(self)
        self.adapter = Adapter(self)
        self._patience = Patience(self)
        self._subscription: Any = None
        self._tasks: set[asyncio.Task[None]] = set()
        #: The close code of the provider's connection that was lost last.
        self._lost_code: int | None = None
        self._closed = False
        #: The state of the engine has changed; and whether the call is about to be ended, for nobody is left to answer.
        self._changed = asyncio.Event()
        self._leaving = False

    # -- the peer

    def on_open(self, peer: Peer) -> None:
        """Begin: `session.created` follows when the provider works with the settings."""
        self.peer = peer
        self.outbox = Outbox(peer, beta=self.beta)
        self.input = Input(self)
        self.output = Output(self)
        previous = self.call.client
        self._subscription = self.call.engine.on("*", self._on_event)
        self.call.attach(self)
        self._patience.begin()
        self.commands.then(lambda: self._begin(previous))

    def on_message(self, message: memoryview | bytes) -> None:
        """Do what an event of the client asks for. What is too much is refused, and ends the call if it goes on."""
        if self._patience.takes():
            self.commands.take(message)

    def on_audio(self, audio: bytes, *, heard: bool = True) -> None:
        """Audio of the client's that came beside its messages; not `heard`: silence that stands for what is missing.

        It is in the format of `input.format`.
        """
        if not self._closed and (not heard or self._patience.takes()):
            self.commands.take_audio(audio)

    def on_close(self, code: int, reason: str) -> None:
        """The client is gone; unless it has hung up, the call waits for it for a while."""
        self.close()
        self.call.detach(self, code)

    def close(self) -> None:
        """Leave the call to whoever comes next. May be called again."""
        if self._closed:
            return
        self._closed = True
        self._patience.close()
        self.commands.close()
        if self._subscription is not None:
            self._subscription.cancel()
            self.input.close()
            self.output.close()
        for task in self._tasks:
            task.cancel()

    # -- for its parts

    def new_id(self, kind: str) -> str:
        """An id that no other thing has: "item" gives "item_" and 20 characters."""
        return f"{kind}_{secrets.token_hex(10)}"

    def send(self, event: dict[str, Any], *, stored: bool = False) -> None:
        """Tell the client of something; `stored`: not before what it tells of is in the store."""
        if not self._closed:
            self.outbox.send(event, self.call.record.saved() if stored else None)

    def failed(self, failure: Exception, event_id: str | None) -> None:
        """Tell the client that what it asked for by this event cannot be done."""
        if not self._closed:
            self.outbox.fail(complaint_of(failure), event_id)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that has to wait, as long as the client is there."""
        task = asyncio.get_running_loop().create_task(work, name=f"voxengine-{self.call.id}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            logger.error("call %s: the session failed", self.call.id, exc_info=failure)
            self.hang_up("internal error", PROVIDER_LOST)

    def hang_up(self, reason: str, code: int) -> None:
        """End the call; the client is told by the close code."""
        if self.call.ending:
            return
        if self.peer is not None and not self._closed:
            self.outbox.flush()
        ending = asyncio.get_running_loop().create_task(
            self.call.end(reason[:_REASON], code), name=f"voxengine-{self.call.id}-end"
        )
        _ending.add(ending)
        ending.add_done_callback(_ending.discard)

    # -- beginning, and changes

    async def _begin(self, previous: object) -> None:
        """Say hello, with the settings that were given before."""
        problems: list[Complaint] = []
        if isinstance(previous, RealtimeSession):
            self.adapter.at_work = previous.adapter.at_work
            problems += await self.adapter.apply(previous.settings)
        else:
            problems += await self.adapter.apply(self.settings)
            for given in (self.call.session, self.call.grant.session):
                if given:
                    problems += await self._take_first(given)
        self._tell_settings("session.created")
        for problem in problems:
            self.failed(problem, None)
        self.output.join(previous.output if isinstance(previous, RealtimeSession) else None)

    async def _take_first(self, given: dict[str, Any]) -> list[Complaint]:
        """Settings from before the session; the model has been looked up already."""
        kind = {"type": self.settings.kind}
        known = ("model",) if self.beta else ("model", "temperature")
        wanted = {k: v for k, v in {**given, **kind}.items() if k not in known}
        try:
            return await self.adapter.change(wanted)
        except (Complaint, VoiceEngineError) as failure:
            return [complaint_of(failure)]

    async def update(self, given: dict[str, Any], event_id: str | None) -> None:
        """A `session.update`.

        Raises:
            Complaint, VoiceEngineError: it does not do; nothing was changed.
        """
        for problem in await self.adapter.change(given):
            self.failed(problem, event_id)
        self._tell_settings("session.updated")

    async def _readapt(self) -> None:
        """Another provider has taken over: it may do things in another way."""
        problems = await self.adapter.follow()
        self._tell_settings("session.updated")
        for problem in problems:
            self.failed(problem, None)

    def _tell_settings(self, kind: str) -> None:
        told = self.settings.wire()
        if self.beta:
            told = session_for_beta(told, self.settings.values.get("temperature"))
        # What the client has set is promised to outlive the process; a greeting waits for nothing.
        self.send({"type": kind, "session": told}, stored=kind == "session.updated")

    # -- the engine

    def _on_event(self, event: ev.ProviderEvent) -> None:
        kind = type(event)
        if kind is not ev.AudioOutputChunk:  # by far the most
            self.input.on_event(event)
        self.output.on_event(event)
        if kind in _OWN:
            self._on_trouble(event)

    def _on_trouble(self, event: ev.ProviderEvent) -> None:
        match event:
            case ev.ConnectionLost(close_code=code):
                self._lost_code = code
                words = event.error or "The connection to the provider was lost."
                self.spawn(self._look_after(Complaint(words, "closed", kind="server_error")))
            case ev.StateChanged():
                self._changed.set()
            case ev.ResponseStarted() if self.settings.kind == "transcription":
                self.spawn(self._call_off())  # of a provider that cannot listen without answering
            case ev.ProviderSwitched() if not self.adapter.switching:
                self.commands.then(self._readapt, about_audio=False)
            case ev.ErrorGeneral(code=code, recoverable=recoverable) if code != "handler":
                failure = event.exception
                complaint = complaint_of(failure) if isinstance(failure, Exception) else None
                words = event.error or "The provider has failed."
                self.outbox.fail(complaint or Complaint(words, code, kind="server_error"))
                if not recoverable:
                    self.spawn(self._leave(words))
            case ev.ConversationEnded():
                self.outbox.flush()

    async def _call_off(self) -> None:
        with suppress(VoiceEngineError):
            await self.call.engine.interrupt()

    async def _look_after(self, complaint: Complaint) -> None:
        """A connection was lost: if nobody is about to restore it, that was the end."""
        await asyncio.sleep(0)
        engine = self.call.engine
        if not (engine.is_connected() or engine.is_reconnecting() or self._leaving):
            self.failed(complaint, None)
            await self._leave(str(complaint))

    async def _leave(self, words: str) -> None:
        """The provider is lost for good: hang up when the apology has been heard."""
        if self._leaving:
            return
        self._leaving = True
        with suppress(TimeoutError):
            async with asyncio.timeout(APOLOGY_BUDGET):
                await asyncio.sleep(0)
                while self.call.engine.state == "speaking":
                    self._changed.clear()
                    await self._changed.wait()
        self.hang_up(words, self._close_code)

    @property
    def _close_code(self) -> int:
        """The provider's own code, where it is one that may be handed on (RFC 6455, 7.4)."""
        code = self._lost_code
        return code if code is not None and 4000 <= code <= 4999 else PROVIDER_LOST


#: Calls that are being ended, so that nobody forgets them.
_ending: set[asyncio.Task[None]] = set()

_OWN = frozenset(
    {
        ev.ConnectionLost,
        ev.ResponseStarted,
        ev.StateChanged,
        ev.ProviderSwitched,
        ev.ErrorGeneral,
        ev.ConversationEnded,
    }
)
#: Mistakes of the client's, or what cannot be done for it; all other failures are ours, or the provider's.
_REQUESTS = (
    AudioError,
    ConfigurationError,
    MessageError,
    ToolError,
    UnsupportedFeatureError,
)


def complaint_of(failure: Exception) -> Complaint:
    """What a client is told of a failure: OpenAI's form of an error, without anything of our inside."""
    match failure:
        case Complaint():
            return failure
        case Refused(code=code, kind=kind):
            return Complaint(str(failure), code, kind=kind)
        case ConfigurationError() | ToolError():
            return Complaint(str(failure), "invalid_value")
        case SessionClosedError():
            return Complaint(str(failure), "session_closed", kind="server_error")
        case ProviderError(code=code):
            ours = isinstance(failure, _REQUESTS)
            return Complaint(
                str(failure), code, kind="invalid_request_error" if ours else "server_error"
            )
        case VoiceEngineError():
            return Complaint(str(failure), "server_error", kind="server_error")
    logger.error("a client's event failed", exc_info=failure)
    return Complaint(
        "The server had an error; it is not the client's.", "internal_error", kind="server_error"
    )
