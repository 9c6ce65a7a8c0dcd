"""The life of a provider's one WebSocket: opened within a budget, lost or closed once, and told of without a gap."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from voxengine import events as ev
from voxengine.config import ProviderConfig
from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    ProviderError,
    RateLimitError,
    SessionClosedError,
    VoiceEngineError,
)
from voxengine.net import Closed, WebSocket, connect_websocket
from voxengine.net.masking import Mask
from voxengine.providers import failures
from voxengine.providers.base import BaseProvider, ConnectionState
from voxengine.providers.endpoints import Address, find_key, need_key

__all__ = ["SocketLink"]

logger = logging.getLogger("voxengine.providers")

#: What is told at any time: all else would be of a session that does not stand.
_OF_CONNECTION = frozenset(
    {
        ev.ConnectionStarting,
        ev.ConnectionEstablished,
        ev.ConnectionFailed,
        ev.ConnectionLost,
        ev.ConnectionClosed,
    }
)
#: What is still told while the provider says goodbye.
_LAST_WORDS = frozenset({ev.ResponseCancelled, ev.UsageUpdated})


class SocketLink(BaseProvider):
    """What `SocketProvider` does about the connection itself."""

    #: The vendor's close codes for which there is a word of ours.
    close_codes: ClassVar[Mapping[int, str]] = {}
    #: The name it is registered under, where the class is not called by it.
    provider_name: ClassVar[str] = ""
    #: Seconds for everything until the session stands (the option `connect_timeout` goes before), and for the goodbye.
    start_budget: ClassVar[float] = 10.0
    goodbye_budget: ClassVar[float] = 2.0

    def __init__(self, config: Mapping[str, Any] | ProviderConfig | None = None) -> None:
        super().__init__(config)
        self.name = self.provider_name or self.name
        self.check()
        self._socket: WebSocket | None = None
        #: The same while audio may be sent over it.
        self._ear: WebSocket | None = None
        self._opening: asyncio.Task[None] | None = None
        #: Settled when the session stands, or was refused.
        self._standing: asyncio.Future[None] | None = None
        self._over = asyncio.Event()
        #: The handle that is being tried (`resume`), None for a fresh session.
        self.resuming: str | None = None
        #: The code of an error after which the vendor closes.
        self._told_code: str | None = None
        #: How it was lost, after it stood.
        self._loss: ConnectionError | None = None
        self._mask = Mask((), {}, ())
        self._closing = False
        #: Whether `connect` was called.
        self.begun = False

    # -- what a vendor says

    def check(self) -> None:
        """Find out what can be wrong with the configuration; nothing but that is there yet.

        Raises:
            ConfigurationError: something is; by default, that there is no key.
        """
        self.key()

    @abstractmethod
    async def address(self) -> Address:
        """Where to connect, and with which headers. It is asked for each attempt, within the budget of `connect`."""

    def opened(self, socket: WebSocket) -> None:
        """Send what comes first. No message has been read yet."""

    @abstractmethod
    def on_text(self, payload: memoryview) -> None:
        """A text message came. The view is valid only during the call."""

    @abstractmethod
    def on_binary(self, payload: memoryview) -> None:
        """A binary message came. The view is valid only during the call."""

    async def goodbye(self, socket: WebSocket) -> None:
        """Say that we leave, and wait for what the vendor still has to tell. Has an end after `goodbye_budget`."""

    def end_response(self, code: str | None) -> None:
        """Tell the end of what is under way, and stop all timers: the session ends.

        `code` says by what; it is None where we disconnect. `tell_end` tells it of one response.
        """

    def code_of_close(self, closed: Closed) -> tuple[str, bool]:
        """A word for the end of the connection, and whether another one can be hoped for."""
        return failures.code_of_close(closed, self.close_codes, self._told_code)

    def notes(self) -> Iterable[tuple[str, str]]:
        """What of the configuration cannot be done as it stands: a code and words for each, told as warnings."""
        return ()

    def reset(self) -> None:
        """Forget what an attempt has brought whose handle was refused: a fresh session is tried now."""

    # -- what a vendor has

    def key(self) -> str:
        """The key: the configured one, or that of the environment.

        Raises:
            ConfigurationError: there is none, or it is none that a header can hold.
        """
        return need_key(self.name, self.config.api_key, self.key_variables)

    @property
    def at_work(self) -> bool:
        """Whether the session stands, and nobody has begun to end it."""
        return self.state is ConnectionState.CONNECTED and not self._closing

    def masked(self, text: str) -> str:
        """The vendor's words without our keys."""
        return self._mask(text)

    def ready(self, *, resumed: bool = False) -> None:
        """The session stands. `resumed`: the vendor still knows the conversation."""
        standing = self._standing
        if standing is None or standing.done() or self._closing:
            return
        standing.set_result(None)
        self.resumed = resumed
        self._ear = self._socket
        self.emit(ev.ConnectionEstablished(resumed=resumed, **self.meta()))
        for code, words in self.notes():
            self.emit(ev.SystemWarning(code=code, message=words, **self.meta()))

    def refuse(self, failure: ProviderError) -> None:
        """The session was refused: `connect` raises this."""
        if self._standing is not None and not self._standing.done():
            self._standing.set_exception(failure)

    def emit(self, event: ev.ProviderEvent) -> None:
        """Tell of an event, if there is a session that it can be of."""
        if self.state is ConnectionState.CONNECTED:
            if self._closing and not (type(event) in _LAST_WORDS or type(event) in _OF_CONNECTION):
                return
        elif type(event) not in _OF_CONNECTION:
            return
        super().emit(event)

    # -- opening

    async def connect(self) -> bool:
        """Open the connection and start the session; True.

        Raises:
            AuthenticationError: the key was not accepted. RateLimitError: too many sessions, or no quota.
            ConnectionError: anything else; `code` says what.
            MessageError: the session's settings were refused.
            SessionClosedError: it was connected before; a new session needs a new provider.
        """
        if self.is_connected:
            return True
        if self._closing or self.begun:
            raise SessionClosedError("a provider is connected once; create a new one")
        self.begun = True
        self.emit(ev.ConnectionStarting(**self.meta()))
        # A task of its own: so `disconnect` can end it, however long the other side is silent.
        opening = self._opening = asyncio.get_running_loop().create_task(
            self._open(), name=f"voxengine-{self.name}-connect"
        )
        try:
            await opening
            if not self.is_connected:  # it was lost, or closed, as soon as it was there
                raise self._loss or self._gone("closed", "at once", retryable=True)
        except asyncio.CancelledError:
            await self._drop_socket()
            self._check_not_closing()
            if self.is_connected:
                self.emit(ev.ConnectionClosed(**self.meta()))
            self.state = ConnectionState.DISCONNECTED
            raise
        except BaseException as failure:
            await self._drop_socket()
            self._check_not_closing()
            self._tell_failure(failure)
            raise
        finally:
            self._opening = None
        return True

    async def _open(self) -> None:
        budget = self._budget()
        deadline = asyncio.get_running_loop().time() + budget
        handle = self.config.option("resume") if self.capabilities.resume == "handle" else None
        self.resuming = str(handle) if handle else None
        try:
            await self._attempt(deadline, budget)
        except (AuthenticationError, RateLimitError, SessionClosedError):
            raise
        except ProviderError as failure:
            lost = self._socket is None and failure.code == "closed"
            if self.resuming is None or lost or failure.code in failures.NETWORK:
                raise
            # It is not known there any more: a new conversation, which is told the old one.
            logger.info("%s: not resumed (%s)", self.name, failure.code)
            await self._drop_socket()
            self.resuming = self.resume_handle = self._told_code = None
            self.reset()
            await self._attempt(deadline, budget)

    def _budget(self) -> float:
        value = self.config.option("connect_timeout", self.start_budget)
        try:
            budget = float(value)
        except (TypeError, ValueError):
            budget = 0.0
        if not budget > 0:
            raise ConfigurationError(f"connect_timeout is seconds, more than 0, not {value!r}")
        return budget

    async def _attempt(self, deadline: float, budget: float) -> None:
        loop = asyncio.get_running_loop()
        self._over.clear()
        standing = self._standing = loop.create_future()
        try:
            try:
                async with asyncio.timeout_at(deadline):
                    address = await self.address()
            except TimeoutError:
                raise self._too_slow(f"no address or token within {budget:g} s") from None
            await self._connect(address, max(deadline - loop.time(), 0.001))
            try:
                async with asyncio.timeout_at(deadline):
                    await standing
            except TimeoutError:
                words = f"the socket opened, but no session within {budget:g} s"
                raise self._too_slow(words) from None
        finally:
            if not standing.cancel() and not standing.cancelled():
                standing.exception()  # so that nobody complains that it was never looked at

    async def _connect(self, address: Address, seconds: float) -> None:
        option = self.config.option
        given = option("headers") or {}
        if not isinstance(given, Mapping):
            raise ConfigurationError(f"headers are a dict, not {type(given).__name__}")
        own = {name.lower() for name in address.headers}
        headers = {str(n): str(v) for n, v in given.items() if str(n).lower() not in own}
        headers |= address.headers
        key = find_key(self.config.api_key, self.key_variables)
        secrets = (*address.secrets, key) if key else address.secrets
        urls = [address.url, option("proxy") or ""]
        self._mask = Mask(urls, headers, address.subprotocols, secrets)
        self._socket = self.connection = await connect_websocket(
            address.url,
            on_text=self.on_text,
            on_binary=self.on_binary,
            on_open=self._on_open,
            on_closed=self._on_closed,
            on_dropped=self._on_dropped,
            headers=headers,
            subprotocols=address.subprotocols,
            proxy=option("proxy"),
            ssl_context=option("ssl_context"),
            timeout=seconds,
            provider=self.name,
            secrets=secrets,
        )

    def _on_open(self, socket: WebSocket) -> None:
        self._socket = self.connection = socket
        try:
            self.opened(socket)
        except Exception as failure:
            if self._standing is not None and not self._standing.done():
                self._standing.set_exception(failure)

    @abstractmethod
    def _on_dropped(self, messages: int, n_bytes: int) -> None:
        """Audio was dropped, because the vendor does not take it as fast as it is spoken."""

    def _too_slow(self, words: str) -> ConnectionError:
        return ConnectionError(
            f"provider {self.name!r}: {words}", provider=self.name, code="timeout"
        )

    def _gone(self, code: str, words: str, retryable: bool) -> ConnectionError:
        return ConnectionError(
            f"provider {self.name!r}: the connection was closed ({words})",
            provider=self.name,
            code=code,
            retryable=retryable,
        )

    def _check_not_closing(self) -> None:
        if self._closing:
            raise SessionClosedError(
                "the provider was disconnected while it was being connected"
            ) from None

    def _tell_failure(self, failure: BaseException) -> None:
        if self.state is ConnectionState.ERROR:
            return  # it stood, and its loss was told
        code = getattr(failure, "code", "connection")
        retryable = getattr(failure, "retryable", False)
        # The words of an error that is none of ours may hold anything, a key too.
        ours = isinstance(failure, VoiceEngineError)
        error = str(failure) if ours else type(failure).__name__
        if self.is_connected:
            self.lose(code, error, None, retryable)
        else:
            self.emit(
                ev.ConnectionFailed(error=error, code=code, retryable=retryable, **self.meta())
            )

    async def _drop_socket(self) -> None:
        """Leave nothing of an attempt."""
        socket, self._socket, self.connection, self._ear = self._socket, None, None, None
        if socket is not None:
            socket.abort()
            await socket.close()  # which then only waits until nothing is left

    # -- the end

    async def disconnect(self) -> None:
        """Say goodbye, close the connection, and end the stream of events."""
        if self._closing:
            return
        socket, opening, established = self._socket, self._opening, self.is_connected
        self.end_response(None)
        self._closing = True
        self.stream = _let_go
        self._ear = None
        if opening is not None and opening is not asyncio.current_task():
            opening.cancel()
            await asyncio.wait([opening])
        try:
            if established and socket is not None and socket.is_open:
                await self._say_goodbye(socket)
        except BaseException:
            if socket is not None:
                socket.abort()
            raise
        finally:
            if established:
                self.emit(ev.ConnectionClosed(**self.meta()))
            else:
                if self.state != ConnectionState.ERROR:
                    self.state = ConnectionState.DISCONNECTED
                self._backlog.close()
        if socket is not None:
            await socket.close()

    async def _say_goodbye(self, socket: WebSocket) -> None:
        try:
            async with asyncio.timeout(self.goodbye_budget):
                await self.goodbye(socket)
        except (TimeoutError, ProviderError) as failure:
            # It went at the same moment, or has nothing to say: there is nobody left to take leave of.
            logger.debug("%s: no goodbye (%s)", self.name, type(failure).__name__)

    def ended(self) -> None:
        """The vendor's farewell came: `until_ended` has an end."""
        self._over.set()

    async def until_ended(self) -> None:
        """Wait for the vendor's farewell, or the end of the connection."""
        await self._over.wait()

    def _on_closed(self, closed: Closed) -> None:
        self._over.set()
        if self._closing or closed.cause == "local":
            return
        code, retryable = self.code_of_close(closed)
        self.lose(code, closed.reason or code, closed.code, retryable)

    def lose(
        self, code: str, words: str, close_code: int | None = None, retryable: bool = True
    ) -> None:
        """The session has ended without our asking. Only the first end is told."""
        words = self.masked(words)
        loss = self._gone(code, words, retryable)
        self.refuse(loss)
        if not self.at_work:
            return
        self._loss = loss
        self.end_response(code)
        self._ear = None
        self.emit(
            ev.ConnectionLost(
                code=code,
                close_code=close_code,
                reason=words,
                retryable=retryable,
                error=words,
                **self.meta(),
            )
        )
        self.stream = _let_go
        if self._socket is not None:
            self._socket.start_closing()


def _let_go(event: ev.ProviderEvent) -> None:
    """The session is over."""
