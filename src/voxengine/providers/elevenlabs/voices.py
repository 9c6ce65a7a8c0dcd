"""The voices of ElevenLabs that every account has."""

from voxengine.providers.voice_table import Voice

__all__ = ["VOICES"]

# The premade voices that every account has; labels as in answers of api.elevenlabs.io/v1/voices that are public (2025
# and 2026). The multilingual models speak any language with them; the accent is what is given here.
VOICES = (
    Voice("Sarah", "feminine", "soft", "en-US", "EXAVITQu4vr4xnSDxMaL"),
    Voice("George", "masculine", "warm", "en-GB", "JBFqnCBsd6RMkjVDRZzb"),
    Voice("Laura", "feminine", "bright", "en-US", "FGY2WhTYpPnrIDTdsKH5"),  # upbeat
    Voice("Charlie", "masculine", "bright", "en-AU", "IKne3meq5aSn9XLyUdCD"),  # energetic
    Voice("Callum", "masculine", "firm", "en-US", "N2lVS1w4EtoT3dr4eOWO"),  # hoarse
    Voice("River", "neutral", "calm", "en-US", "SAz9YHcvj6GT2YYXdXww"),  # relaxed, informative
    Voice("Alice", "feminine", "clear", "en-GB", "Xb7hH8MSUJpSbSDYk0k2"),  # clear, confident
    Voice("Matilda", "feminine", "warm", "en-US", "XrExE9yKIg1WjnnlVkGX"),
    Voice("Daniel", "masculine", "clear", "en-GB", "onwK4e9ZLuTAKqWW03F9"),  # broadcaster
    Voice("Lily", "feminine", "warm", "en-GB", "pFZP5JQG7iQjIQuC4Bku"),
    Voice("Bill", "masculine", "calm", "en-US", "pqHfZKP75CvOlQylNhV4"),  # wise, balanced
    Voice("Roger", "masculine", "calm", "en-US", "CwhRBWXzGAHq8TQ4Fs17"),  # easy going
)
