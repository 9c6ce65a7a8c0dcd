"""What becomes of a request for a WebSocket."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from voxengine.gateway.refusal import Refused
from voxengine.net.http1 import Request

__all__ = ["Opened", "Opener", "open_within"]

_log = logging.getLogger("voxengine.gateway")


class Opened(msgspec.Struct, frozen=True):
    """The client is let in."""

    #: A `PeerHandler`; msgspec has no type for it. If the client has gone meanwhile, it is told `on_close` only.
    handler: Any
    #: More headers of the answer to the handshake.
    headers: Mapping[str, str] = {}
    #: One of those that the client offers, or None.
    subprotocol: str | None = None


#: Decides about a client. Raises `Refused`. It is cancelled when the client goes away before it has decided.
Opener: TypeAlias = "Callable[[Request], Awaitable[Opened]]"


async def open_within(opener: Opener, request: Request, budget: float) -> Opened:
    """What the opener says, within `budget` seconds.

    Raises:
        Refused: also for a failure of the opener, which is logged and not told, and 504 when it takes too long.
    """
    try:
        async with asyncio.timeout(budget):
            return await opener(request)
    except Refused:
        raise
    except TimeoutError:
        _log.warning("a call could not be opened within %g s", budget)
        raise Refused(
            504, "timeout", "the call could not be opened in time", "server_error", 5
        ) from None
    except Exception:
        _log.exception("a call could not be opened")
        raise Refused(500, "internal_error", "the gateway failed", "server_error") from None
