"""What the core has to know of the settings."""

from __future__ import annotations

from voxengine.clock import Clock
from voxengine.config import VoiceEngineConfig
from voxengine.session.core import CoreOptions
from voxengine.session.tools import Toolbox

__all__ = ["options_of"]

#: Seconds of silence in an answer under way after which another provider takes over, where there is one. A vendor may
#: think for some time before its first sound.
STALLED_AFTER = 5.0


def options_of(config: VoiceEngineConfig, clock: Clock, tools: Toolbox) -> CoreOptions:
    """The options of the core of a session that begins with this configuration."""
    return CoreOptions(
        response_timeout=config.response_timeout,
        stall_timeout=(
            min(config.stall_timeout, max(STALLED_AFTER, config.failover_after))
            if config.fallback
            else config.stall_timeout
        ),
        text_only=config.modalities == ["text"],
        manual_turns=config.turn_detection == "none",
        recovers=config.reconnect_timeout > 0 or bool(config.fallback or config.hedge),
        failover_after=config.failover_after if config.fallback else None,
        rotation_margin=config.rotation_margin,
        metrics=config.mode == "big",
        transcripts=config.mode != "fast",
        epoch=clock.epoch,
        auto_response=config.auto_response,
        interruptions=config.interruptions,
        silent_tools=tools.silent,
    )
