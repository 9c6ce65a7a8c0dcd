"""HTTP/2 on asyncio, made of the `h2` package: a server for emulators, and a client for AWS's library.

AWS's library talks through a runtime in C with threads of its own, whose sockets no event loop sees. `AsyncioClient`
takes its place where a test runs on a virtual clock, or wants everything on one loop: it has the form that the library
asks of a transport, and speaks HTTP/2 over the loop's own sockets. It is for a server on the same machine, without TLS
unless it is given a context.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, cast
from urllib.parse import parse_qsl

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from voxengine.testing.emulators.http import Answer, Request
from voxengine.testing.emulators.listener import Connections, Listener
from voxengine.testing.emulators.server import Accept

__all__ = ["AsyncioClient", "HTTP2Link", "HTTP2Server"]

# It writes down each header that it reads, at the level of debugging, bit by bit.
logging.getLogger("hpack").setLevel(logging.INFO)

#: Bytes that may wait for a peer which does not read. One that lets more pile up is cut off.
MAX_UNREAD = 64 * 1024 * 1024
#: Bytes of a request's body that are kept, where it is not a stream.
MAX_BODY = 1024 * 1024
#: Bytes that the peer may send before we have taken note: audio comes in small pieces, but many.
WINDOW = 2**24


class _Connection(asyncio.Protocol):
    """What both sides do: bytes to events, and back, no faster than the peer allows."""

    def __init__(self, *, client: bool) -> None:
        config = h2.config.H2Configuration(client_side=client, header_encoding="utf-8")
        self.h2 = h2.connection.H2Connection(config=config)
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._pending: dict[int, bytearray] = {}
        self._ending: set[int] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(WINDOW)
        self.flush()

    def data_received(self, data: bytes) -> None:
        try:
            events = self.h2.receive_data(data)
        except h2.exceptions.ProtocolError:
            self.flush()
            self.abort()
            return
        for event in events:
            if isinstance(event, h2.events.DataReceived):
                n = event.flow_controlled_length
                self.h2.acknowledge_received_data(n, event.stream_id)
            elif isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
                self._push()
            self.on_event(event)
        self.flush()

    def on_event(self, event: h2.events.Event) -> None:
        """Something came."""

    def on_gone(self) -> None:
        """The connection is gone."""

    def connection_lost(self, failure: Exception | None) -> None:
        self._transport = None
        if not self.gone.done():
            self.gone.set_result(None)
        self.on_gone()

    def send(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """Send data of a stream, and its end."""
        if self._transport is None:
            return
        self._pending.setdefault(stream, bytearray()).extend(data)
        if end:
            self._ending.add(stream)
        self._push()
        self.flush()
        if sum(map(len, self._pending.values())) > MAX_UNREAD:
            self.abort()

    def headers(self, stream: int, headers: list[tuple[str, str]], *, end: bool = False) -> None:
        """Send the head of a message."""
        if self._transport is not None:
            self.h2.send_headers(stream, headers, end_stream=end)
            self.flush()

    def reset(self, stream: int) -> None:
        """End a stream at once, in both directions."""
        self._pending.pop(stream, None)
        self._ending.discard(stream)
        try:
            self.h2.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
            self.flush()
        except h2.exceptions.ProtocolError:
            pass  # it had ended already

    def flush(self) -> None:
        """Write what there is to write."""
        data = self.h2.data_to_send()
        if data and self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        """Close the connection when all is written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _push(self) -> None:
        for stream, data in list(self._pending.items()):
            try:
                while data:
                    room = self.h2.local_flow_control_window(stream)
                    size = min(room, self.h2.max_outbound_frame_size, len(data))
                    if size <= 0:
                        break
                    self.h2.send_data(stream, bytes(data[:size]))
                    del data[:size]
                if not data:
                    del self._pending[stream]
                    if stream in self._ending:
                        self._ending.discard(stream)
                        self.h2.end_stream(stream)
            except h2.exceptions.ProtocolError:  # the peer has ended it
                self._pending.pop(stream, None)


# -- the server


class HTTP2Link:
    """The server's side of one stream."""

    def __init__(self, connection: _ServerConnection, stream: int, handler: Any) -> None:
        self._connection = connection
        self._stream = stream
        self.handler = handler
        self.closing = False

    def send(self, message: str | bytes) -> None:
        """Send a message, framed by the handler."""
        if not self.closing:
            self._connection.send(self._stream, self.handler.frame(message))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """End the stream; any code but 1000 is an exception, which the handler frames."""
        if not self.closing:
            self.closing = True
            last = b"" if code == 1000 else self.handler.last_frame(code, reason)
            self._connection.send(self._stream, last, end=True)
            self._connection.over(self._stream)

    def kill(self) -> None:
        """Cut the connection."""
        self.closing = True
        self._connection.abort()


Route = Callable[[Request, str], Answer | Accept | None]


class HTTP2Server(Listener):
    """Listens on a port of this machine; of the form of `EmulatorServer`.

    `route` is given a request, whose body is complete unless it is an event stream, and its path as it came.
    """

    def __init__(
        self,
        route: Route,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(
            lambda connections: _ServerConnection(route, connections),
            host=host,
            port=port,
            tls=tls,
        )


class _ServerConnection(_Connection):
    def __init__(self, route: Route, all_of_them: Connections) -> None:
        super().__init__(client=False)
        self._route = route
        self._all = all_of_them
        self._links: dict[int, HTTP2Link] = {}
        self._requests: dict[int, tuple[dict[str, str], bytearray]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._all.add(self)
        super().connection_made(transport)

    def on_event(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived(stream_id=stream, headers=headers):
                fields = {str(name): str(value) for name, value in headers or ()}
                if "eventstream" in fields.get("content-type", ""):
                    self._begin(stream, fields, b"")
                else:
                    self._requests[stream] = (fields, bytearray())
            case h2.events.DataReceived(stream_id=stream, data=data):
                self._data(stream, data or b"")
            case h2.events.StreamEnded(stream_id=stream):
                self._stream_ended(stream)
            case h2.events.StreamReset(stream_id=stream):
                self.over(stream)
            case h2.events.ConnectionTerminated():
                self.close()

    def _data(self, stream: int, data: bytes) -> None:
        link = self._links.get(stream)
        if link is not None:
            link.handler.on_data(data)
        elif stream in self._requests:
            body = self._requests[stream][1]
            body += data
            if len(body) > MAX_BODY:
                self.abort()

    def _stream_ended(self, stream: int) -> None:
        if stream in self._requests:
            fields, body = self._requests.pop(stream)
            self._begin(stream, fields, bytes(body))
        elif stream in self._links:
            self._links[stream].handler.on_end()

    def _begin(self, stream: int, fields: Mapping[str, str], body: bytes) -> None:
        raw = fields.get(":path", "/")
        path, _, query = raw.partition("?")
        headers = {name: value for name, value in fields.items() if not name.startswith(":")}
        headers.setdefault("host", fields.get(":authority", ""))
        request = Request(fields.get(":method", ""), path, dict(parse_qsl(query)), headers, body)
        found = self._route(request, raw)
        if found is None:
            self.abort()
        elif isinstance(found, Answer):
            named = [(name.lower(), value) for name, value in found.headers.items()]
            length = ("content-length", str(len(found.body)))
            self.headers(stream, [(":status", str(found.status)), *named, length])
            self.send(stream, found.body, end=True)
        else:
            fixed = found.handler.response_headers()
            self.headers(stream, [(":status", "200"), *fixed])
            link = self._links[stream] = HTTP2Link(self, stream, found.handler)
            found.handler.on_open(link)

    def over(self, stream: int) -> None:
        """A stream has ended."""
        link = self._links.pop(stream, None)
        if link is not None:
            link.closing = True
            link.handler.on_close()

    def go_away(self) -> None:
        """Close it, with a word."""
        for link in list(self._links.values()):
            link.close()
        self.h2.close_connection()
        self.flush()
        self.close()

    def on_gone(self) -> None:
        self._all.discard(self)
        for stream in list(self._links):
            self.over(stream)


# -- the client


class _ClientConnection(_Connection):
    def __init__(self) -> None:
        super().__init__(client=True)
        self.head: asyncio.Future[list[tuple[str, str]]] = (
            asyncio.get_running_loop().create_future()
        )
        self.body: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()

    def on_event(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived(headers=headers):
                if not self.head.done():
                    self.head.set_result([(str(n), str(v)) for n, v in headers or ()])
            case h2.events.DataReceived(data=data):
                self.body.put_nowait(data or b"")
            case h2.events.StreamEnded():
                self.body.put_nowait(None)
            case h2.events.StreamReset() | h2.events.ConnectionTerminated():
                self._broken()

    def on_gone(self) -> None:
        self._broken()

    def _broken(self) -> None:
        failure = ConnectionResetError("the connection was cut")
        if not self.head.done():
            self.head.set_exception(failure)
            self.head.exception()  # it may be that nobody asks any more
        self.body.put_nowait(failure)


class _Response:
    """Of the form that AWS's library asks of a response."""

    def __init__(
        self, status: int, fields: Any, body: asyncio.Queue[bytes | Exception | None]
    ) -> None:
        self.status = status
        self.fields = fields
        self.reason = None
        self._queue = body

    @property
    def body(self) -> AsyncIterator[bytes]:
        """The pieces of the body."""
        return self._pieces()

    async def _pieces(self) -> AsyncIterator[bytes]:
        while (piece := await self._queue.get()) is not None:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def consume_body_async(self) -> bytes:
        """All of the body."""
        return b"".join([piece async for piece in self._pieces()])


class AsyncioClient:
    """A transport for AWS's library: one connection for each request. `context` is for https."""

    TIMEOUT_EXCEPTIONS: tuple[type[Exception], ...] = (TimeoutError,)
    SUPPORTS_DUPLEX_STREAMING = True

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self._open: dict[_ClientConnection, asyncio.Task[None]] = {}

    def __deepcopy__(self, memo: Any) -> AsyncioClient:
        return self

    async def send(self, request: Any, *, request_config: Any = None) -> Any:
        """Send a request; its body may go on after the answer has begun."""
        http = importlib.import_module("smithy_http")
        to = request.destination
        secure = to.scheme == "https"
        _, connection = await asyncio.get_running_loop().create_connection(
            _ClientConnection,
            to.host,
            to.port or (443 if secure else 80),
            ssl=self._context if secure else None,
        )
        path = to.path or "/"
        head = [
            (":method", request.method),
            (":scheme", to.scheme),
            (":authority", to.netloc),
            (":path", f"{path}?{to.query}" if to.query else path),
        ]
        for field in request.fields.entries.values():
            if field.name.lower() != "host":
                head += [(field.name.lower(), value) for value in field.values]
        stream = connection.h2.get_next_available_stream_id()
        connection.headers(stream, head)
        self._open[connection] = asyncio.create_task(
            self._write(connection, stream, request.body), name="http2-body"
        )
        connection.gone.add_done_callback(lambda _: self._forget(connection))
        fields = http.Fields()
        status = 0
        for name, value in await connection.head:
            if name == ":status":
                status = int(value)
            else:
                fields.set_field(http.Field(name=name, values=[value]))
        return _Response(status, fields, connection.body)

    async def close(self) -> None:
        """Close all connections."""
        for connection, task in list(self._open.items()):
            connection.close()
            task.cancel()
            await asyncio.wait([task, connection.gone])

    async def _write(self, connection: _ClientConnection, stream: int, body: Any) -> None:
        if isinstance(body, bytes | bytearray):
            connection.send(stream, bytes(body), end=True)
            return
        async for chunk in body:
            connection.send(stream, bytes(chunk))
        connection.send(stream, b"", end=True)

    def _forget(self, connection: _ClientConnection) -> None:
        task = self._open.pop(connection, None)
        if task is not None:
            task.cancel()
