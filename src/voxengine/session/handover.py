"""What is told of a change of providers."""

from __future__ import annotations

from voxengine.config import VoiceEngineConfig
from voxengine.conversation import Conversation
from voxengine.events import ProviderSwitched
from voxengine.session.continuity import Change
from voxengine.session.leg import Leg
from voxengine.session.telling import tellable

__all__ = ["told_of"]


def told_of(
    leg: Leg,
    change: Change,
    previous: VoiceEngineConfig,
    *,
    attempts: int,
    log: Conversation,
    tools: int,
    pending_calls: int,
) -> ProviderSwitched:
    """What another provider was given, and what not: of the `log`, of so many `tools`, of calls that are running."""
    can = leg.provider.capabilities
    left_out = []
    untold = len(leg.left_out)
    if can.history == "none":
        untold = len(tellable(log))
    if untold:
        left_out.append("history")
    if tools and not can.tools:
        left_out.append("tools")
    if previous.turn_options not in ({}, change.config.turn_options):
        left_out.append("turn_options")
    if previous.turn_detection not in (None, change.config.turn_detection):
        left_out.append(f"turn_detection {previous.turn_detection}")
    voice = change.config.voice
    if previous.voice is not None and voice is None:
        left_out.append(f"voice {previous.voice}")
    return ProviderSwitched(
        previous=previous.provider,
        reason=change.why,
        code=change.code,
        attempts=attempts,
        resumed=leg.provider.resumed,
        items=len(leg.told),
        items_left_out=untold,
        tools=tools if can.tools else 0,
        pending_calls=pending_calls,
        voice=voice,
        previous_voice=previous.voice,
        left_out=tuple(left_out),
        **leg.provider.meta(),
    )
