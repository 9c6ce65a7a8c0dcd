"""`Gateway`: the calls, and all that they share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from voxengine.clock import Clock
from voxengine.gateway.auth import Gatekeeper
from voxengine.gateway.call import Call
from voxengine.gateway.calls import Calls
from voxengine.gateway.config import GatewayConfig
from voxengine.gateway.failures import refusal
from voxengine.gateway.grants import Grant
from voxengine.gateway.handler import Handler
from voxengine.gateway.lag import LoopLag
from voxengine.gateway.observing import Observing
from voxengine.gateway.opening import Opening, budget, open_call
from voxengine.gateway.record import find_resumable
from voxengine.gateway.recording import Recordings
from voxengine.gateway.refusal import Refused
from voxengine.gateway.retention import Keeper
from voxengine.gateway.route_tools import RouteTools
from voxengine.gateway.routes import Routes
from voxengine.gateway.twilio.door import TwilioDoor
from voxengine.session import prices
from voxengine.store import SessionStore, StoreError, open_store

__all__ = ["Gateway"]

logger = logging.getLogger("voxengine.gateway")

#: Seconds after which one who was refused for the load may try again.
RETRY_AFTER = 2.0
#: Seconds that ending all calls may take, whatever hangs.
CLOSING_BUDGET = 30.0


class Gateway:
    """Opens calls, within limits, and ends them. One for each event loop.

    `file` is where the configuration came from, for `reload`; `changes` are fields of `[gateway]` that go over it.

    Raises:
        ConfigurationError: the configuration does not do.
    """

    def __init__(
        self,
        config: GatewayConfig | None = None,
        *,
        file: str | Path | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> None:
        self._file = file
        self._changes = dict(changes or {})
        self.config = config or GatewayConfig.load(file, **self._changes)
        self.routes = Routes(self.config)
        #: The tools that the gateway runs for the routes.
        self.tools = RouteTools()
        self.tools.check(self.routes)
        self.handler = Handler(self.routes.fallback_config())
        self.calls = Calls()
        self.lag = LoopLag()
        folder = self.config.data_folder
        self.store: SessionStore = open_store(
            None if folder is None else self.config.path(self.config.store)
        )
        self.recordings = Recordings(folder / "recordings") if folder is not None else None
        self.gatekeeper = Gatekeeper(
            self.config.keys_config, state=folder, origins=self.config.origins
        )
        #: Whether new calls are refused because the process is to end.
        self.draining = False
        #: Whether new calls are refused because an operator wants that; the process goes on.
        self.paused = False
        #: Whether it is ready for calls, and since when, in Unix time.
        self.started = False
        self.started_at = 0.0
        self._keeper = Keeper(
            self.store,
            self.recordings,
            resume_window=self.config.resume_window,
            retention_days=self.config.retention_days,
        )
        #: Calls that are being opened.
        self._opening = 0
        #: Connections that are being let go of.
        self._farewells: set[asyncio.Task[None]] = set()
        #: Who is told of what happens to calls.
        self.observing = Observing(self)
        #: Who calls by telephone.
        self.twilio = TwilioDoor(self)

    # -- life

    async def start(self) -> None:
        """Open the store and begin to measure. Without effect when it is started.

        Raises:
            StoreError: the store cannot be used.
        """
        if self.started:
            return
        await self.store.open()
        await asyncio.to_thread(
            prices.load
        )  # read in mid-call, they would hold up every call there is
        self._keeper.start()
        self.lag.start()
        self.started, self.started_at = True, Clock().wall()

    async def drain(self, seconds: float | None = None) -> None:
        """Refuse new calls, and wait so long for those there are to end. Then end the rest.

        A client that is cut off may take its call up again with another process that has the same store.
        """
        budget = self.config.drain_timeout if seconds is None else seconds
        self.draining = True
        for call in self.calls:
            if not call.attached:
                await call.leave("the gateway is going away")
        try:
            async with asyncio.timeout(budget):
                while len(self.calls) or self._opening:
                    self.calls.changed.clear()
                    await self.calls.changed.wait()
        except TimeoutError:
            logger.warning("%d calls had not ended after %g s", len(self.calls), budget)
        await self._leave_all()

    async def close(self) -> None:
        """End all calls and let go of everything. May be called again."""
        self.draining = True
        await self._leave_all()
        while self._farewells:
            await asyncio.wait(self._farewells)
        self.lag.stop()
        self.started = False
        await self._keeper.close()
        if self.recordings is not None:
            await self.recordings.close()
        await self.tools.close()
        await self.observing.close()
        await self.handler.close()
        await self.store.close()
        self.gatekeeper.close()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Do something at the end of a connection, that has a budget of its own; `close` waits for it."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)

    async def _leave_all(self) -> None:
        try:
            async with asyncio.timeout(CLOSING_BUDGET):
                await asyncio.gather(
                    *(call.leave("the gateway is going away", 1001) for call in self.calls)
                )
        except TimeoutError:
            logger.error("%d calls could not be ended in time", len(self.calls))

    def reload(self) -> None:
        """Read the configuration anew. Live calls go on with what they have.

        What was settled at the start (where it listens, the store) stays as it was.

        Raises:
            ConfigurationError: it does not do; then everything stays as it was.
        """
        config = GatewayConfig.load(self._file, **self._changes)
        routes = Routes(config)
        self.tools.check(routes)
        handler_config = routes.fallback_config()
        self.gatekeeper.reload()
        settled = [name for name in _SETTLED if getattr(config, name) != getattr(self.config, name)]
        if settled:
            logger.warning("changes of %s count from the next start on", ", ".join(settled))
        self.config, self.routes = config, routes
        self.handler.config = handler_config

    def not_ready(self) -> list[str]:
        """Why it takes no calls: "starting", "draining", "busy", "full", "store"; nothing if it does."""
        reasons = {
            "starting": not self.started,
            "draining": self.draining or self.paused,
            "busy": self.lag.percentile(99) > self.config.max_loop_lag_ms,
            "full": len(self.calls) + self._opening >= self.config.max_calls,
            "store": self.started and not self.store.health.ok,
        }
        return [reason for reason, holds in reasons.items() if holds]

    # -- calls

    async def open_call(
        self,
        *,
        wire: str,
        model: str | None,
        grant: Grant,
        transcription: bool = False,
        resume: str | None = None,
        settings: Mapping[str, Any] | None = None,
        session: dict[str, Any] | None = None,
    ) -> Call:
        """A call for a caller who was let in. Its provider is connected when this returns.

        `resume` is the id of the session to go on with; its client may have left a moment ago, or the gateway may have
        been started anew. `settings` are fields of `VoiceEngineConfig`, and go over those of the route; `session` is
        the session to begin with, in OpenAI's form.

        Raises:
            Refused: 403 the key is not for that; 404 no such route, or session; 410 the session is over; 429 a limit of
                the key; 502, 503, 504 the provider, or the gateway, cannot take the call.
        """
        if resume:
            live = self.calls.by_session(resume)
            if live is not None and not live.ending:
                return await self._rejoin(live, grant)
        self._check_ready()
        self._check_load()
        with self._place():
            if resume:
                opening = await self._stored(resume, wire=wire, grant=grant)
                opening = msgspec.structs.replace(
                    opening,
                    settings={**opening.settings, **(settings or {})},
                    transcription=transcription,
                )
            else:
                route = self.routes.resolve(model)
                grant.need_route(route.name)
                opening = Opening(
                    wire=wire,
                    route=route,
                    grant=grant,
                    settings=dict(settings or {}),
                    session=session,
                    transcription=transcription,
                )
            return await open_call(self, opening)

    def _check_ready(self) -> None:
        if self.draining or self.paused or not self.started:
            raise Refused(
                503,
                "server_draining",
                "The server is about to restart. Please try again in a moment.",
                "server_error",
                retry_after=RETRY_AFTER,
            )

    def _check_load(self) -> None:
        lag = self.lag.percentile(99)
        if lag > self.config.max_loop_lag_ms:
            raise _overloaded(f"it is busy (its event loop is {lag:.0f} ms late)")
        if len(self.calls) + self._opening >= self.config.max_calls:
            raise _overloaded("it has as many calls as it takes")

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Count a call that is being opened."""
        self._opening += 1
        try:
            yield
        finally:
            self._opening -= 1
            self.calls.changed.set()

    async def _rejoin(self, call: Call, grant: Grant) -> Call:
        """A live call whose client comes back."""
        if call.grant.key_id != grant.key_id:
            raise _unknown_session()
        grant.need_route(call.route.name)
        if not call.engine.is_connected():
            try:
                async with asyncio.timeout(budget(call.engine.config)):
                    await call.engine.connect()
            except Exception as failure:
                raise refusal(failure) from failure
        if not call.attached:
            call.wait_for_client()
        return call

    async def _stored(self, session_id: str, *, wire: str, grant: Grant) -> Opening:
        """The call of this session, of a process that is gone."""
        try:
            found = await find_resumable(
                self.store,
                session_id,
                key_id=grant.key_id,
                window=self.config.resume_window,
                now=Clock().wall(),
            )
        except StoreError as failure:
            raise refusal(failure) from failure
        if self.handler.get_connection(found.call.id) is not None:
            raise _unknown_session()  # it is being taken up by another connection this very moment
        route = self.routes.resolve(found.call.route)
        grant.need_route(route.name)
        return Opening(
            call_id=found.call.id,
            session_id=session_id,
            wire=wire,
            route=route,
            grant=grant,
            settings=dict(found.call.settings),
            session=found.session,
            conversation=found.conversation,
            stored=found.call,
        )


#: Fields of `[gateway]` that are settled when it is started.
_SETTLED = (
    "host",
    "port",
    "tls_certificate",
    "tls_key",
    "trusted_proxies",
    "store",
    "keys",
    "origins",
    "retention_days",
    "metrics",
    "otel_endpoint",
    "max_message",
)


def _overloaded(why: str) -> Refused:
    return Refused(
        503,
        "server_overloaded",
        f"The server takes no further call now: {why}.",
        "server_error",
        retry_after=RETRY_AFTER,
    )


def _unknown_session() -> Refused:
    return Refused(404, "session_not_found", "There is no such session to resume.")
