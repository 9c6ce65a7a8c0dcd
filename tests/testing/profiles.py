"""Kinds of providers that the mock can pretend to be: what differs from one that can do everything."""

from __future__ import annotations

from typing import Any

NO_TURNS: dict[str, Any] = {
    "turn_detection": (),
    "vad_events": False,
    "auto_response": False,
    "self_interrupting": False,
}

PROFILES: dict[str, dict[str, Any]] = {
    "everything": {},
    "like a vendor of items": {"say": False, "usage_unit": "tokens"},
    "like a vendor of streams": {
        "cancel": False,
        "truncate": False,
        "commit": False,
        "clear": False,
        "delete": False,
        "say": False,
        "system_messages": False,
        "text_output": False,
        "history": "before_audio",
        "input_formats": ["pcm16@16000"],
    },
    "answers on request": {"auto_response": False},
    "is interrupted by message": {"self_interrupting": False},
    "finds no turns": NO_TURNS,
    "hears without writing": {"input_transcription": False, "partial_transcripts": False},
    "telephone": {
        "input_formats": ["g711_ulaw@8000", "g711_alaw@8000"],
        "output_formats": ["g711_ulaw@8000", "pcm16@8000"],
    },
    "one tool at a time, on request": {"parallel_tools": False, "continues_after_tool": False},
    "audio only": {"text_input": False, "history": "at_start"},
    "text only": {
        "audio_output": False,
        "truncate": False,
        "say": False,
        "usage_unit": "characters",
    },
    "nearly nothing": {
        **NO_TURNS,
        "input_transcription": False,
        "partial_transcripts": False,
        "cancel": False,
        "truncate": False,
        "commit": False,
        "clear": False,
        "delete": False,
        "say": False,
        "tools": False,
        "parallel_tools": False,
        "continues_after_tool": False,
        "history": "none",
        "system_messages": False,
        "text_output": False,
        "usage_unit": "none",
    },
}
