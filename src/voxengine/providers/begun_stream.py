"""A WebSocket that is of use when its service has said that the session stands: within one budget, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from voxengine.errors import ProviderError
from voxengine.net import Closed, WebSocket, connect_websocket

__all__ = ["CONNECT_S", "BegunStream", "begin"]

#: Seconds until the session stands, where the option `connect_timeout` says nothing else.
CONNECT_S = 8.0


class BegunStream(Protocol):
    """What listens to the socket."""

    #: Settled when the session stands, or was refused.
    begun: asyncio.Future[None]

    def on_text(self, payload: memoryview) -> None:
        """A message has come."""

    def on_open(self, socket: WebSocket) -> None:
        """It is connected."""

    def on_closed(self, closed: Closed) -> None:
        """The connection has ended."""

    def on_dropped(self, chunks: int, audio_bytes: int) -> None:
        """Audio was let go of, as the service took none."""

    async def close(self) -> None:
        """End it, in whatever state it is."""


async def begin(
    stream: BegunStream,
    url: str,
    *,
    headers: Mapping[str, str],
    options: Mapping[str, Any],
    provider: str,
    secrets: Sequence[str],
) -> None:
    """Connect, and wait until the session stands. If that fails, the stream is closed.

    Args:
        stream: who listens.
        url: where to connect.
        headers: the key's among them.
        options: `connect_timeout` in seconds, `proxy` and `ssl_context`.
        provider: who asks.
        secrets: what is never shown, wherever it stands.

    Raises:
        ProviderError: it could not be opened, or was refused; with code "timeout", it took too long.
    """
    budget = float(options.get("connect_timeout") or CONNECT_S)
    deadline = asyncio.get_running_loop().time() + budget
    try:
        await connect_websocket(
            url,
            on_text=stream.on_text,
            on_open=stream.on_open,
            on_closed=stream.on_closed,
            on_dropped=stream.on_dropped,
            headers=headers,
            proxy=options.get("proxy"),
            ssl_context=options.get("ssl_context"),
            timeout=budget,
            provider=provider,
            secrets=tuple(secrets),
        )
        async with asyncio.timeout_at(deadline):
            await stream.begun
    except TimeoutError:
        await stream.close()
        raise ProviderError(
            f"{provider}: no session within {budget:g} s",
            provider=provider,
            code="timeout",
            retryable=True,
        ) from None
    except BaseException:
        await stream.close()
        raise
