"""One live call, whatever wire carries it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from voxengine.clock import Clock
from voxengine.engine import VoiceEngine
from voxengine.events import CostUpdated, EventType, ProviderEvent
from voxengine.gateway.grants import Grant
from voxengine.gateway.peer import Peer, PeerHandler
from voxengine.gateway.routes import Route
from voxengine.observe.logs import fields
from voxengine.session import Tool

if TYPE_CHECKING:
    from voxengine.gateway.auth import Lease
    from voxengine.gateway.record import CallRecord
    from voxengine.gateway.recording import Recording

__all__ = ["CLIENT_LEFT", "GOING_AWAY", "Call"]

logger = logging.getLogger("voxengine.gateway")

#: Seconds that each step of hanging up may take.
STEP_BUDGET = 10.0
#: Close codes of a client that has closed the connection on purpose: normally, or without a code.
_GOOD_BYE = (1000, 1005)
#: The close code of a call that ends because the gateway does, and may be resumed with another.
GOING_AWAY = 1001
#: The reason of the end of a call whose client did not come back.
CLIENT_LEFT = "the client left"


class Call:
    """A call: an engine, who it belongs to, and the client at its other end, which may leave and come back.

    It ends when its client hangs up and does not come back in time, when the engine's conversation ends, when its
    budget is used up, or by `end`. `Gateway.open_call` makes it.
    """

    def __init__(
        self,
        *,
        id: str,
        session_id: str,
        wire: str,
        route: Route,
        grant: Grant,
        lease: Lease,
        engine: VoiceEngine,
        resume_window: float,
        tools: Sequence[Tool] = (),
        session: dict[str, Any] | None = None,
        transcription: bool = False,
    ) -> None:
        #: "call_<24 hex>": names the call to operators, in the log, in the store.
        self.id = id
        #: "sess_<32 hex>": OpenAI's id of the session, by which its client comes back. It is as good as a key, so it is
        #: told to nobody else.
        self.session_id = session_id
        #: What carries it: "websocket", "webrtc", "twilio".
        self.wire = wire
        self.route = route
        self.grant = grant
        self.engine = engine
        #: The route's own tools, which the gateway runs; the client's come and go.
        self.tools = tuple(tools)
        #: The session to begin with, in OpenAI's form: that of the call that is resumed, or of a REST call's body.
        self.session = session
        #: Whether it only transcribes.
        self.transcription = transcription
        self._clock = Clock()
        #: Unix time.
        self.started_at = self._clock.wall()
        self.record: CallRecord
        #: Where its audio is written, if it is.
        self.recording: Recording | None = None
        #: The client, also when it is gone: the next one takes over what it had set.
        self.client: PeerHandler | None = None
        #: Why it ended, and the close code that its client was told; of a call that goes on nothing, and 0.
        self.reason = ""
        self.close_code = 0
        #: Set when all is over.
        self.ended = asyncio.Event()
        self._attached = False
        self._ending = False
        #: Seconds that a client that left may take to come back.
        self._resume_window = resume_window
        self._lease = lease
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._on_end: list[Callable[[Call], object]] = []
        engine.on(EventType.COST_UPDATED, self._spent)
        engine.on(EventType.CONVERSATION_ENDED, self._over)

    # -- the client

    @property
    def attached(self) -> bool:
        """Whether a client is there."""
        return self._attached

    @property
    def ending(self) -> bool:
        """Whether it is over, or about to be."""
        return self._ending

    def attach(self, client: PeerHandler) -> None:
        """A client is there. One that was there before is hung up: it has come back by another connection."""
        before, was_there = self.client, self._attached
        self._stop_timer()
        self.client, self._attached = client, True
        if was_there and before is not client:
            _close(before, 1000, "the session was resumed elsewhere")
        if self._ending:
            _close(client, 1001, "the call is over")

    def detach(self, client: PeerHandler | None = None, code: int = 1006) -> None:
        """The client is gone, with this close code. One that has said good-bye has hung up: the call is ended.

        For any other the call waits: it was cut off, or its page is loaded anew. What is being said is cut: nobody
        hears it. A `client` that is not the present one has been replaced already: nothing happens.
        """
        if self._ending or (client is not None and client is not self.client):
            return
        self._attached = False
        if code in _GOOD_BYE:
            self._do(self.end("the client hung up"), "end")
            return
        self.wait_for_client()
        if self.engine.state == "speaking":
            self._do(self._hush(), "interrupt")

    def wait_for_client(self, seconds: float | None = None) -> None:
        """Give a client so many seconds to be there; the resume window, if nothing is said."""
        self._stop_timer()
        loop = asyncio.get_running_loop()
        window = self._resume_window if seconds is None else seconds
        self._timer = loop.call_later(window, self._missed)

    async def _hush(self) -> None:
        await self.engine.interrupt()

    def _missed(self) -> None:
        self._timer = None
        self._do(self.end(CLIENT_LEFT), "end")

    # -- the end

    def on_end(self, function: Callable[[Call], object]) -> None:
        """Call this when all is over."""
        self._on_end.append(function)

    async def end(self, reason: str = "", code: int = 1000) -> None:
        """Hang up: the client is told by this close code, the engine disconnected, the record ended.

        May be called again: whoever calls waits for the same end.
        """
        if self._ending:
            await self.ended.wait()
            return
        await self._end(reason, code, keep=False)

    async def leave(self, reason: str = "", code: int = GOING_AWAY) -> None:
        """As `end`, but the record stays open: the client may take the call up again with another process."""
        if self._ending:
            await self.ended.wait()
            return
        await self._end(reason, code, keep=True)

    async def _end(self, reason: str, code: int, keep: bool) -> None:
        self._ending = True
        self.reason, self.close_code = reason, code
        self._stop_timer()
        try:
            if self._attached:
                _close(self.client, code, reason)
            await self._step(self.engine.disconnect(reason), "disconnect")
            await self._step(self.engine.usage.settle(), "count the cost")
            if keep:
                await self._step(self.record.leave(), "close the record")
            else:
                await self._step(self.record.end(reason), "end the record")
            if self.recording is not None:
                await self._step(self.recording.end(), "end the recording")
        finally:
            cost = self.engine.usage.cost
            self._lease.end(cost)
            lasted = self._clock.wall() - self.started_at
            logger.info(
                "call %s ended: %s; %.1f s, %s US dollars",
                self.id,
                reason,
                lasted,
                cost,
                extra=fields(
                    call=self.id,
                    route=self.route.name,
                    provider=self.engine.config.provider,
                    event="call_ended",
                    code=code,
                    duration_s=round(lasted, 3),
                    cost_usd=cost,
                ),
            )
            self._attached = False
            self.ended.set()
            for function in self._on_end:
                function(self)

    async def _step(self, work: Awaitable[object], what: str) -> None:
        """One of the steps of the end: if it fails, the others are done nevertheless."""
        try:
            async with asyncio.timeout(STEP_BUDGET):
                await work
        except Exception as failure:
            logger.error("call %s: could not %s: %r", self.id, what, failure)

    # -- what the engine tells

    def _spent(self, event: ProviderEvent) -> None:
        if not isinstance(event, CostUpdated) or event.cost is None:
            return
        if not self._lease.spend(event.cost) and not self._ending:
            self._do(self.end("the budget is used up"), "end")

    def _over(self, event: ProviderEvent) -> None:
        # The handlers that come after this one still tell the client of it.
        if not self._ending:
            self._do(self.end(str(event.data.get("reason") or "the conversation has ended")), "end")

    # -- inside

    def _do(self, work: Any, what: str) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(
            self._logged(work), name=f"voxengine-{self.id}-{what}"
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _logged(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as failure:
            logger.warning("call %s: %r", self.id, failure)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __repr__(self) -> str:
        return f"<Call {self.id} {self.route.name!r} {self.engine.state}>"


def _close(client: PeerHandler | None, code: int, reason: str) -> None:
    peer: Peer | None = getattr(client, "peer", None)
    if peer is not None:
        with suppress(Exception):
            peer.close(code, reason)
