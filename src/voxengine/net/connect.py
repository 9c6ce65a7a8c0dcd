"""Open a WebSocket: address, proxy, TLS and handshake within one budget, and every failure as one of our errors."""

from __future__ import annotations

import asyncio
import functools
import logging
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from voxengine.errors import ConfigurationError, ProviderError
from voxengine.lazy import load_module
from voxengine.net.addresses import Address, check_headers, choose_proxy, parse_url
from voxengine.net.handshake import Attempt, Refusal
from voxengine.net.masking import Mask
from voxengine.net.sockets import SocketOpener
from voxengine.net.websocket import Closed, Settings, WebSocket

if TYPE_CHECKING:
    from voxengine.net.listener import Listener

__all__ = ["connect_websocket"]

_log = logging.getLogger("voxengine.net")

#: Bytes of each of the two buffers that TLS has for a connection: one record (the library's own default is 16).
_TLS_BUFFER = 16 * 1024 + 64
#: Seconds for the end of an opening whose socket was cut; it takes no time, unless something is broken.
_STOP = 1.0


async def connect_websocket(
    url: str,
    *,
    on_text: Callable[[memoryview], None],
    on_binary: Callable[[memoryview], None] | None = None,
    on_open: Callable[[WebSocket], None] | None = None,
    on_closed: Callable[[Closed], None],
    on_dropped: Callable[[int, int], None] | None = None,
    headers: Mapping[str, str] | None = None,
    subprotocols: Sequence[str] = (),
    proxy: str | None = None,
    ssl_context: ssl.SSLContext | None = None,
    timeout: float = 10.0,  # noqa: ASYNC109  # told apart from the caller's: it is an error of ours
    ping_interval: float = 20.0,
    ping_timeout: float = 10.0,
    close_timeout: float = 2.0,
    max_message: int = 64 * 2**20,
    audio_buffer: int = 256 * 1024,
    control_buffer: int = 32 * 2**20,
    provider: str = "",
    secrets: Sequence[str] = (),
) -> WebSocket:
    """Connect to a ws:// or wss:// URL.

    The callbacks are called on the event loop, in order, and possibly before this returns: what the server sends
    together with its answer is delivered at once. If one raises, that is logged, and the connection goes on. If this
    raises, none is called any more.

    Args:
        url: A user and a password in it become an `Authorization` header.
        on_text: Given each text message, as a view of its UTF-8 (which is not checked). The view, and all that is cut
            from it, is valid only during the call.
        on_binary: Given each binary message in the same way. Without it, such messages are let go, and that is logged.
        on_open: Given the connection as soon as it is open, before any message: what is sent in here goes out first.
        on_closed: Told exactly once how the connection ended.
        on_dropped: Told of audio that was dropped because the peer did not take it: the number of messages and the
            bytes of audio in them, at most four times a second.
        headers: Sent with the handshake, in addition to its own.
        subprotocols: Offered to the server; `WebSocket.subprotocol` is the one that it chose.
        proxy: URL of a proxy (http, https, socks4, socks5). None asks the environment, "" means none.
        ssl_context: Instead of the default one, for wss://.
        timeout: Seconds for everything up to the end of the handshake.
        ping_interval: Seconds of silence after which the peer is asked for a sign of life; 0 for never.
        ping_timeout: Seconds in which it has to come.
        close_timeout: Seconds in which a closing ends, whatever the peer does.
        max_message: Bytes of the largest message that is taken; a larger one ends the connection (1009).
        audio_buffer: Bytes of audio messages that may wait for the peer; older ones are dropped.
        control_buffer: Bytes of other messages that may wait; more end the connection.
        provider: The name that errors carry.
        secrets: What is never shown, wherever it stands. Headers, parameters and subprotocols that are named like a
            secret need not be listed.

    Raises:
        ConfigurationError: an argument is wrong.
        AuthenticationError: the server answered 401 or 403.
        RateLimitError: it answered 429; code "quota" if the account has none left.
        ConnectionError: all else. Its code is "refused", "unreachable", "dns", "tls", "proxy", "timeout", "closed",
            "server" (5xx), "not_found", "rejected" (any other answer) or "protocol".
    """
    address = parse_url(url, secrets)
    via = choose_proxy(address, proxy)
    request = _request_headers(address, headers or {}, subprotocols)
    if timeout <= 0 or close_timeout <= 0:
        raise ConfigurationError("timeout and close_timeout are more than 0 seconds")
    mask = Mask([url, via.url if via else ""], request, subprotocols, secrets)
    websocket = WebSocket(
        Settings(
            where=address.shown,
            provider=provider,
            mask=mask,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            audio_buffer=audio_buffer,
            control_buffer=control_buffer,
        ),
        on_closed,
        on_dropped,
    )
    options: dict[str, Any] = {"extra_headers": request, "max_frame_size": max_message}
    if via is not None:
        options["proxy"] = via.url
    if address.secure:
        options |= {
            "ssl_context": ssl_context or _default_tls(),
            "ssl_incoming_bio_size": _TLS_BUFFER,
            "ssl_outgoing_bio_size": _TLS_BUFFER,
            "ssl_shutdown_timeout": close_timeout,
        }
    picows_side = await load_module("voxengine.net.listener")
    opening = _Opening(
        address,
        via is not None,
        Attempt(address.shown, via.shown if via else None, provider, mask),
        SocketOpener(readable=not address.secure and not (via and via.secure)),
    )
    listener = picows_side.Listener(websocket, on_text, on_binary, max_message, on_open)
    await opening.run(websocket, listener, subprotocols, timeout, options)
    _log.debug("%s: connected", address.shown)
    return websocket


class _Opening:
    """What goes on until the WebSocket is open."""

    def __init__(
        self, address: Address, proxied: bool, attempt: Attempt, opener: SocketOpener
    ) -> None:
        self._address = address
        self._proxied = proxied
        self._attempt = attempt
        self._opener = opener

    async def run(
        self,
        websocket: WebSocket,
        listener: Listener,
        subprotocols: Sequence[str],
        timeout: float,  # noqa: ASYNC109  # as above
        options: dict[str, Any],
    ) -> None:
        """Open the connection; after a failure, nothing of it is left."""
        from voxengine.net.listener import PicowsLog

        def accept(_: Any, response: Any) -> Listener:
            websocket.response_headers = response.headers
            websocket.subprotocol = self._agreed(response.headers, subprotocols)
            return listener

        options["logger_name"] = PicowsLog(listener.picows_failed)
        work = asyncio.create_task(self._handshake(accept, options), name="voxengine-websocket")
        try:
            await asyncio.wait([work], timeout=timeout)
            if not work.done():
                raise self._attempt.too_slow(self._opener.stage, timeout)
            work.result()
        except BaseException:
            websocket.discard()
            await self._stop(work)
            raise
        finally:
            self._opener.finish()

    async def _stop(self, work: asyncio.Task[None]) -> None:
        """Leave nothing of an opening that has failed, or that nobody waits for any more."""
        self._opener.cut()
        if self._opener.stage != "handshake":
            work.cancel()
        # Whoever reads from the socket sees its end now, and cleans up; after a cancellation, TLS would leave a timer.
        try:
            await asyncio.wait([work], timeout=_STOP)
            await asyncio.sleep(0)  # what closes by itself has done so then
        finally:
            work.cancel()
            work.add_done_callback(_forget)
            self._opener.release()

    async def _handshake(
        self, accept: Callable[[Any, Any], Listener], options: dict[str, Any]
    ) -> None:
        from picows import WSHandshakeError, ws_connect

        try:
            # A redirect would be given our key.
            _, listener = await ws_connect(
                accept,
                self._address.url,
                websocket_handshake_timeout=None,  # the budget is ours
                enable_auto_pong=False,
                max_redirects=0,
                socket_factory=self._opener,
                **options,
            )
        except WSHandshakeError as e:
            refusal = Refusal.parse(e.raw_header, e.raw_body)
            if refusal is None or refusal.status == 101:
                raise self._attempt.malformed(str(e)) from None
            rest = await self._opener.read_rest(refusal.missing)
            refusal = msgspec.structs.replace(refusal, body=refusal.body + rest)
            raise self._attempt.refused(refusal) from None
        except ProviderError:
            raise
        except Exception as e:
            if not (self._proxied or isinstance(e, OSError)):
                raise  # nothing that a network does
            raise self._attempt.broken(e, self._opener.stage) from e
        if listener is None:
            raise self._attempt.ended()

    def _agreed(self, answer: Mapping[str, str], offered: Sequence[str]) -> str | None:
        """The subprotocol that the server chose."""
        if "sec-websocket-extensions" in answer:
            raise self._attempt.malformed("the server uses an extension that was not offered")
        chosen = answer.get("sec-websocket-protocol")
        if chosen is not None and chosen not in offered:
            raise self._attempt.malformed("the server chose a subprotocol that was not offered")
        return chosen


def _request_headers(
    address: Address, headers: Mapping[str, str], subprotocols: Sequence[str]
) -> dict[str, str]:
    check_headers(headers, subprotocols)
    request = dict(headers)
    names = {name.lower() for name in request}
    if address.authorization is not None and "authorization" not in names:
        request["Authorization"] = address.authorization
    if subprotocols:
        request["Sec-WebSocket-Protocol"] = ", ".join(subprotocols)
    if "user-agent" not in names:
        request["User-Agent"] = "voxengine"
    return request


def _forget(work: asyncio.Task[None]) -> None:
    if not work.cancelled():
        work.exception()


@functools.cache
def _default_tls() -> ssl.SSLContext:
    # One for all: to load the system's certificates takes milliseconds and a megabyte.
    return ssl.create_default_context()
