"""How the provider is checked against the emulator of Azure Voice Live."""

from __future__ import annotations

from voxengine.testing.conformance.scenario import Scenario
from voxengine.testing.conformance.vendors import usual_scenario

__all__ = ["scenario"]


def scenario(name: str) -> Scenario:
    """The usual one, with some of the vendor's own words."""
    return usual_scenario(
        name,
        own_words=(
            {"type": "input_audio_buffer.clear"},
            {"type": "session.update", "session": {"temperature": 0.7}},
        ),
    )
