"""The gateway as a server: its port, and how it begins and ends."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable

from voxengine.errors import ConfigurationError
from voxengine.gateway.app import create_app, openers
from voxengine.gateway.config import GatewayConfig
from voxengine.gateway.gateway import Gateway
from voxengine.gateway.reloading import Signals
from voxengine.gateway.server import Front, SocketLimits
from voxengine.gateway.server.descriptors import max_connections

__all__ = ["make_front", "serve"]

logger = logging.getLogger("voxengine.gateway")

#: Seconds that the answer to a WebSocket's handshake may take: models on this machine may have to be loaded.
OPENING_BUDGET = 180.0
#: Connections that may wait with an incomplete request; a quarter of all where there can be few.
MAX_UNASKED = 1000
#: Seconds that requests have to end when calls have ended.
LAST_REQUESTS = 2.0


def make_front(gateway: Gateway) -> Front:
    """The port with all that the gateway serves.

    Raises:
        ConfigurationError: the host is not this machine alone though no key is configured, or the certificate does
            not do.
    """
    config = gateway.config
    if gateway.gatekeeper.open and not config.loopback:
        raise ConfigurationError(
            f"without an API key the gateway listens on this machine only, not on {config.host!r}: whoever reaches it "
            "could talk at your expense. Make a key with 'voxengine keys create NAME', or leave the host out"
        )
    most = max_connections()
    return Front(
        create_app(gateway),
        sockets=openers(gateway),
        host=config.host,
        port=config.port,
        tls=_tls(config),
        proxies=config.trusted_proxies,
        limits=SocketLimits(max_message=config.max_message),
        max_connections=most,
        max_unasked=min(MAX_UNASKED, max(1, most // 4)),
        opening_budget=OPENING_BUDGET,
    )


async def serve(
    gateway: Gateway,
    front: Front,
    *,
    ready: Callable[[Front], object] = lambda front: None,
    signals: Signals | None = None,
) -> bool:
    """Serve until a signal says that it is enough, then drain. Whether it was Ctrl-C.

    Raises:
        ConfigurationError: something is missing that the gateway needs.
        OSError: the port cannot be had.
    """
    signals = signals or Signals(gateway)
    with signals.listening():
        await front.start()
        try:
            ready(front)
            await signals.stop.wait()
            await _drain(gateway, signals)
        finally:
            await front.close(LAST_REQUESTS)
    return signals.interrupted


async def _drain(gateway: Gateway, signals: Signals) -> None:
    """Wait for the calls to end, for as long as is allowed, or until a second signal."""
    if len(gateway.calls):
        logger.warning(
            "no new calls; %d have %g s to end", len(gateway.calls), gateway.config.drain_timeout
        )
    draining = asyncio.ensure_future(gateway.drain())
    hurry = asyncio.ensure_future(signals.hurry.wait())
    await asyncio.wait((draining, hurry), return_when=asyncio.FIRST_COMPLETED)
    hurry.cancel()
    if not draining.done():
        draining.cancel()
        await asyncio.wait([draining])
        return
    await draining


def _tls(config: GatewayConfig) -> ssl.SSLContext | None:
    if config.tls_certificate is None or config.tls_key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(config.path(config.tls_certificate), config.path(config.tls_key))
    except (OSError, ssl.SSLError) as failure:
        raise ConfigurationError(
            f"the certificate {config.tls_certificate} and the key {config.tls_key} do not do: "
            f"{failure.strerror or failure}"
        ) from None
    return context
