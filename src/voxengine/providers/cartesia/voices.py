"""Some voices of Cartesia. It has hundreds more, and voices of one's own: those are named by their ids."""

from __future__ import annotations

from voxengine.providers.voice_table import Voice

__all__ = ["VOICES"]

# docs.cartesia.ai/build-with-cartesia/tts-models/sonic-3-5 (copy of 2026): the two that it recommends for voice agents,
# as "stable, realistic", American English. It publishes no tones; they are as that description sounds.
VOICES = (
    Voice("Katie", "feminine", "calm", "en-US", "f786b574-daa5-4673-aa0c-cbe3e8534c02"),
    Voice("Jameson", "masculine", "calm", "en-US", "a5136bf9-224c-4d76-b823-52bd5efcffcc"),
)
