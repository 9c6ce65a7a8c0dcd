"""Voices of Ultravox. The vendor has many more, and voices of one's own: those are named by their ids."""

from voxengine.providers.voice_table import Voice

__all__ = ["VOICES"]

# The two that docs.ultravox.ai uses in its examples (2026). It publishes no traits: how they present is as their names
# do, and "clear" stands for none.
VOICES = (
    Voice("Mark", "masculine", "clear", "en-US"),
    Voice("Jessica", "feminine", "clear", "en-US"),
)
