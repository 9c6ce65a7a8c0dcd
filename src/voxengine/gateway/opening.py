"""How a call begins: its limits are claimed, its provider is connected, its record is opened."""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING, Any

import msgspec

from voxengine.clock import Clock
from voxengine.config import VoiceEngineConfig
from voxengine.conversation import Conversation
from voxengine.gateway.auth import Lease
from voxengine.gateway.call import Call
from voxengine.gateway.failures import refusal
from voxengine.gateway.grants import Grant
from voxengine.gateway.record import CallRecord, session_hash
from voxengine.gateway.refusal import Refused
from voxengine.gateway.routes import Route
from voxengine.observe.logs import fields, in_context
from voxengine.store import StoredCall

if TYPE_CHECKING:
    from voxengine.gateway.gateway import Gateway

__all__ = ["Opening", "budget", "open_call"]

logger = logging.getLogger("voxengine.gateway")

#: Seconds beyond the time to connect that opening a call may take: the history has to be told, for one.
MARGIN = 15.0


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """A call that is about to be opened."""

    wire: str
    route: Route
    grant: Grant
    #: Fields of `VoiceEngineConfig` that go over those of the route.
    settings: dict[str, Any] = {}
    #: The session to begin with, in OpenAI's form.
    session: dict[str, Any] | None = None
    transcription: bool = False
    call_id: str = msgspec.field(default_factory=lambda: f"call_{secrets.token_hex(12)}")
    session_id: str = msgspec.field(default_factory=lambda: f"sess_{secrets.token_hex(16)}")
    #: What was said so far, and the call as it is in the store, where it goes on.
    conversation: Conversation | None = None
    stored: StoredCall | None = None

    def __repr__(self) -> str:
        return f"Opening({self.call_id!r}, {self.route.name!r})"


def budget(config: VoiceEngineConfig) -> float:
    """Seconds that connecting the provider, or one of its fallbacks, may take."""
    return config.connect_timeout * (1 + len(config.fallback)) + MARGIN


async def open_call(gateway: Gateway, opening: Opening) -> Call:
    """The call, with its provider connected. Its client has the resume window to be there.

    Raises:
        Refused: a limit of the key is reached, or the provider cannot be had.
    """
    lease = gateway.gatekeeper.begin(opening.grant)
    try:
        # What the engine starts inherits this, so that whatever its parts log names the call.
        with in_context(call=opening.call_id, route=opening.route.name):
            return await _open(gateway, opening, lease)
    except BaseException:
        lease.end()
        raise


async def _open(gateway: Gateway, opening: Opening, lease: Lease) -> Call:
    route = opening.route
    tools = gateway.tools.of(route)
    try:
        config = _remaining(route.config(opening.grant, **opening.settings), opening.stored)
        async with asyncio.timeout(budget(config)):
            engine = await gateway.handler.initialize_connection(
                opening.call_id,
                config,
                conversation=opening.conversation,
                prepare=lambda made: made.set_tools(tools),
            )
    except Exception as failure:
        refused = refusal(failure)
        logger.warning("call %s to %r: %s", opening.call_id, route.name, failure)
        raise refused from failure
    call = Call(
        id=opening.call_id,
        session_id=opening.session_id,
        wire=opening.wire,
        route=route,
        grant=opening.grant,
        lease=lease,
        engine=engine,
        resume_window=gateway.config.resume_window,
        tools=tools,
        session=opening.session,
        transcription=opening.transcription,
    )
    call.on_end(lambda ended: gateway.handler.connections.pop(ended.id, None))
    try:
        call.record = CallRecord(gateway.store, _stored(opening, call), engine)
        call.record.begin()
        if route.recording != "off" and gateway.recordings is not None:
            call.recording = gateway.recordings.begin(
                call.id, call.started_at, engine, form=route.recording
            )
    except BaseException:
        await gateway.handler.close(call.id)
        raise
    gateway.calls.add(call)
    gateway.observing.opened(call)
    call.wait_for_client()
    resumed = "resumed" if opening.stored is not None else "opened"
    provider = engine.config.provider
    logger.info(
        "call %s %s: %s by %s, %r to %s",
        call.id,
        resumed,
        call.wire,
        call.grant.key_id,
        route.name,
        provider,
        extra=fields(event=f"call_{resumed}", provider=provider, wire=call.wire),
    )
    return call


def _remaining(config: VoiceEngineConfig, stored: StoredCall | None) -> VoiceEngineConfig:
    """What the limits of a call leave for the part of it that begins now.

    Raises:
        Refused: 410, nothing.
    """
    if stored is None:
        return config
    changes: dict[str, Any] = {}
    used = {"max_cost": stored.cost or 0.0, "max_duration": Clock().wall() - stored.started_at}
    for name, so_far in used.items():
        limit = getattr(config, name)
        if limit is not None:
            changes[name] = limit - so_far
            if changes[name] <= 0:
                raise Refused(
                    410, "session_expired", "The session has used up what it was allowed."
                )
    return config.with_changes(**changes) if changes else config


def _stored(opening: Opening, call: Call) -> StoredCall:
    """The call as the store is to know it."""
    if opening.stored is not None:
        return opening.stored
    plain = (str, int, float, bool, list, dict, type(None))
    return StoredCall(
        id=call.id,
        session_hash=session_hash(call.session_id),
        key_id=call.grant.key_id,
        route=call.route.name,
        provider=call.engine.config.provider,
        wire=call.wire,
        started_at=call.started_at,
        settings={n: v for n, v in opening.settings.items() if isinstance(v, plain)},
        session=opening.session,
    )
