"""What a cascade can do, and which general settings it takes."""

from __future__ import annotations

import msgspec

from voxengine.audio.formats import AudioFormat
from voxengine.config import ProviderConfig
from voxengine.errors import ConfigurationError
from voxengine.providers.capabilities import Capabilities, TurnDetection
from voxengine.providers.cascade.assembly import is_on_device, listens_for_words, tool_specs
from voxengine.providers.cascade.parts import StreamingSTT
from voxengine.providers.cascade.settings import (
    TURN_OPTIONS,
    CascadeSettings,
    check_turn_options,
)

__all__ = ["CASCADE", "check_config", "of_instance"]

#: What a cascade can do, whatever it is made of.
CASCADE = Capabilities(
    input_formats=(
        AudioFormat(sample_rate=16000),
        AudioFormat(sample_rate=24000),
        AudioFormat(sample_rate=8000),
        AudioFormat(sample_rate=48000),
        AudioFormat("g711_ulaw", 8000),
        AudioFormat("g711_alaw", 8000),
    ),
    output_formats=(AudioFormat(sample_rate=24000),),
    text_output=True,
    turn_detection=("server_vad", "client"),
    vad_events=True,
    auto_response=True,
    self_interrupting=True,
    auto_response_optional=True,
    interruptions_optional=True,
    turn_options=TURN_OPTIONS,
    input_transcription=True,
    partial_transcripts=True,
    cancel=True,
    truncate=True,
    commit=True,
    clear=True,
    delete=True,
    say=True,
    tools=True,
    parallel_tools=True,
    continues_after_tool=True,
    silent_results=True,
    history="items",
    history_places=True,
    system_messages=True,
    instructions_updatable=True,
    session_options=("temperature",),
    usage_unit="seconds",
)


def of_instance(
    can: Capabilities,
    settings: CascadeSettings,
    config: ProviderConfig,
    ears: StreamingSTT | None,
) -> Capabilities:
    """What a cascade with this configuration can do; `ears` is its recogniser, if that is one that streams."""
    detects = ears is not None and ears.detects_turns
    finds_turns = config.turn_detection != "none"
    return msgspec.structs.replace(
        can,
        audio_output=config.modalities is None or "audio" in config.modalities,
        auto_response=finds_turns and config.auto_response is not False,
        self_interrupting=finds_turns and config.interruptions is not False,
        vad_events=finds_turns and config.vad_events is not False,
        input_transcription=config.transcription is not False,
        partial_transcripts=config.partials is not False,
        turn_detection=turn_kinds(detects),
        turn_options=turn_options(detects),
        vocabulary=ears.takes_vocabulary if ears else listens_for_words(settings, config),
        emotion=ears is not None and ears.tells_emotion and config.emotion is not False,
        on_device=is_on_device(settings, config),
    )


def turn_kinds(detects: bool) -> tuple[TurnDetection, ...]:
    """The kinds of turn detection, the usual one first: a recogniser's own (`detects`) knows what was said."""
    return ("semantic_vad", *CASCADE.turn_detection) if detects else CASCADE.turn_detection


def turn_options(detects: bool) -> tuple[str, ...]:
    """The settings of the turn detection, with or without those of a recogniser's own."""
    return (*TURN_OPTIONS, "eagerness") if detects else TURN_OPTIONS


def check_config(config: ProviderConfig, detects: bool) -> None:
    """Raise a `ConfigurationError` for what a cascade does not take.

    `detects`: its recogniser finds turns by itself.
    """
    kinds = ("none", *turn_kinds(detects))
    if config.turn_detection is not None and config.turn_detection not in kinds:
        raise ConfigurationError(
            f"turn_detection of a cascade is {', '.join(kinds)}, not {config.turn_detection!r}"
        )
    unknown = set(config.modalities or ()) - {"audio", "text"}
    if unknown:
        raise ConfigurationError(
            f"modalities are 'audio' and 'text', not {', '.join(sorted(unknown))}"
        )
    tool_specs(config.tools)
    check_turn_options(config.turn_options or {}, turn_options(detects))
