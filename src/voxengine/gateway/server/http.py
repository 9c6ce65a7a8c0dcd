"""Everything but WebSockets: uvicorn's HTTP protocol and the application's lifespan, without its server."""

from __future__ import annotations

import asyncio
import logging
from email.utils import formatdate
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from voxengine.errors import ConfigurationError
from voxengine.gateway.server.proxies import Proxies
from voxengine.net.http1 import MAX_HEAD, json_answer
from voxengine.realtime.errors import http_error

__all__ = ["HttpSide"]

_log = logging.getLogger("voxengine.gateway")

#: Seconds in which a head has to be complete, after which the next part of a body has to come, and for which a
#: connection stays open between two requests.
HEAD_S = 10.0
BODY_S = 20.0
KEEP_ALIVE_S = 30
#: Bytes of the largest body that is taken.
MAX_BODY = 1024 * 1024
#: Seconds between two looks at what is still open while it is closed.
_LOOK_S = 0.02


class HttpSide:
    """Serves an ASGI application on connections that it is given.

    Args:
        app: the application; its lifespan is run by `start` and `close`.
        proxies: whose forwarding headers the application sees.
    """

    def __init__(self, app: Any, proxies: Proxies) -> None:
        self._config = Config(
            app,
            http=_Http,
            loop="none",
            ws="none",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=bool(proxies.trusted),
            forwarded_allow_ips=list(proxies.trusted),
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        self._state = ServerState()
        self._lifespan: Any = None

    def __len__(self) -> int:
        return len(self._state.connections)

    async def start(self) -> None:
        """Run the application's startup.

        Raises:
            ConfigurationError: it failed; the cause is in the log.
        """
        if not self._config.loaded:
            self._config.load()
        self._lifespan = self._config.lifespan_class(self._config)
        await self._lifespan.startup()
        if self._lifespan.should_exit:
            self._lifespan = None
            raise ConfigurationError("the application could not be started; the log says why")

    def take(self, transport: asyncio.Transport, data: bytes) -> None:
        """Serve this connection, of which `data` has been read already."""
        protocol = _Http(self._config, self._state, self._lifespan.state)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(data)

    async def close(self, seconds: float) -> None:
        """Let requests end within so many seconds, cut off those that do not, and run the application's shutdown."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        for connection in list(self._state.connections):
            connection.shutdown()
        while (self._state.connections or self._state.tasks) and loop.time() < until:  # noqa: ASYNC110  # uvicorn tells nobody
            await asyncio.sleep(_LOOK_S)
        for task in list(self._state.tasks):
            task.cancel()
        for connection in list(self._state.connections):
            connection.transport.abort()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=1)
        if self._lifespan is not None:
            await self._lifespan.shutdown()
            self._lifespan = None


class _Http(HttpToolsProtocol):
    """Uvicorn's protocol with limits to what a client may send, and how slowly."""

    _head = 0  # bytes of a head that is not complete
    _body = 0
    _timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        if self._timer is None:
            self._wait(HEAD_S)
        super().data_received(data)
        if self._head and self.parser is not None:
            self._head += len(data)
            if self._head > MAX_HEAD:
                self._refuse(431, "headers_too_large", "the head of the request is too large")

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._head, self._body = 1, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head = 0
        self._wait(BODY_S)
        date = formatdate(usegmt=True).encode()
        self.server_state.default_headers = [(b"date", date)]
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        if self._body > MAX_BODY:
            self._refuse(413, "body_too_large", f"a body may have {MAX_BODY} bytes")
            return
        self._wait(BODY_S)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._stop()
        super().on_message_complete()

    def _wait(self, seconds: float) -> None:
        self._stop()
        self._timer = self.loop.call_later(seconds, self._too_slow)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        self._refuse(408, "request_timeout", "the request did not come in time")

    def _refuse(self, status: int, code: str, message: str) -> None:
        if self.transport.is_closing():
            return
        # `cycle` is the request's own once its head is complete; before, it is the one before it.
        cycle = self.cycle
        if cycle is None or (cycle.response_complete if self._head else not cycle.response_started):
            body = http_error("invalid_request_error", code, message)
            self.transport.write(json_answer(status, body).to_bytes())
        self.transport.close()
