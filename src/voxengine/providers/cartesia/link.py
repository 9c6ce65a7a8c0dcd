"""The socket of one session at Cartesia, open from its first answer to its end, and which answer a message is for."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from voxengine.errors import ConfigurationError, ConnectionError, ProviderError
from voxengine.net import Closed, WebSocket, connect_websocket
from voxengine.providers.cartesia.codec import (
    Chunk,
    Done,
    Failure,
    FlushDone,
    Message,
    Timestamps,
    Unknown,
    decode,
)
from voxengine.providers.endpoints import websocket_url
from voxengine.providers.failures import code_of_close, code_of_status, error_of

__all__ = ["Context", "Link"]

_log = logging.getLogger("voxengine.providers")

NAME = "cartesia"
URL = "wss://api.cartesia.ai/tts/websocket"
#: The version of the API that this speaks: that of the vendor's own client.
VERSION = "2026-08-14"
#: Seconds until it is connected.
CONNECT_S = 10.0


class Context(Protocol):
    """An answer that is being spoken in a context."""

    def take(self, message: Chunk | Timestamps | FlushDone | Done) -> None:
        """A message for its context."""

    def fail(self, failure: ProviderError) -> None:
        """Nothing more comes."""


class Link:
    """A connection that is opened when it is needed, and opened again after it was lost.

    Args:
        key: the API key.
        endpoint, proxy, ssl_context, connect_timeout, version: see the options of the part.
    """

    def __init__(self, key: str, options: Mapping[str, Any]) -> None:
        self._key = key
        self._url = websocket_url(URL, options.get("endpoint"))
        self._proxy = options.get("proxy")
        self._tls = options.get("ssl_context")
        self._version = str(options.get("version") or VERSION)
        self._budget = _seconds(options.get("connect_timeout", CONNECT_S))
        self._socket: WebSocket | None = None
        self._contexts: dict[str, Context] = {}
        self._opening: asyncio.Lock | None = None
        #: Names of contexts are never used twice, not even by another process with the same key.
        self._prefix = secrets.token_hex(6)
        self._count = 0

    async def open(self) -> None:
        """Be connected.

        Raises:
            AuthenticationError: the key is not accepted. RateLimitError: too many connections.
            ConnectionError: anything else; `code` says what.
        """
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self._socket is not None and self._socket.is_open:
                return
            self._socket = await connect_websocket(
                self._url,
                on_text=self._on_text,
                on_closed=self._on_closed,
                headers={
                    "Authorization": f"Bearer {self._key}",
                    "Cartesia-Version": self._version,
                },
                proxy=self._proxy,
                ssl_context=self._tls,
                timeout=self._budget,
                provider=NAME,
                secrets=(self._key,),
            )

    async def close(self) -> None:
        """Close it. It is opened again when it is needed."""
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    def begin(self, context: Context) -> str:
        """A new context; returns its name."""
        self._count += 1
        name = f"{self._prefix}-{self._count}"
        self._contexts[name] = context
        return name

    def end(self, name: str) -> None:
        """What still comes for this context is of no interest."""
        self._contexts.pop(name, None)

    def send(self, message: bytes) -> None:
        """Send a message. Never waits.

        Raises:
            ConnectionError: there is no connection any more.
        """
        if self._socket is None:
            raise ConnectionError(f"{NAME} is not connected", provider=NAME, code="closed")
        self._socket.send_text(message)

    # -- told by the connection

    def _on_text(self, payload: memoryview) -> None:
        try:
            message: Message = decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError) as failure:
            _log.warning("%s sent a message that is not understood: %s", NAME, failure)
            return
        if isinstance(message, Failure):
            self._on_failure(message)
        elif isinstance(message, Unknown):
            _log.debug("%s sent a message of type %r", NAME, message.type[:50])
        else:
            context = self._contexts.get(message.context_id)
            if context is not None:  # else it was cancelled
                context.take(message)

    def _on_failure(self, message: Failure) -> None:
        status = message.status_code or 500
        code = code_of_status(status)
        told = (message.error_code or "").lower()
        if "quota" in told or "credit" in told:
            code = "quota"
        words = message.words.replace(self._key, "***")
        failure = error_of(code, words, NAME)
        if message.context_id is None:
            self._fail_all(failure)
        elif (context := self._contexts.pop(message.context_id, None)) is not None:
            context.fail(failure)

    def _on_closed(self, closed: Closed) -> None:
        code, retryable = code_of_close(closed)
        words = f"{NAME}: the connection was closed ({closed.reason or code})"
        self._fail_all(ConnectionError(words, provider=NAME, code=code, retryable=retryable))

    def _fail_all(self, failure: ProviderError) -> None:
        contexts, self._contexts = self._contexts, {}
        for context in contexts.values():
            context.fail(failure)


def _seconds(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return float(value)
    raise ConfigurationError(f"connect_timeout is seconds, more than 0, not {value!r}")
