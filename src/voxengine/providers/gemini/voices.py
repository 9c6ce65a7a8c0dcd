"""The voices of Gemini."""

from voxengine.providers.voice_table import Voice

__all__ = ["VOICES"]

# Presentation: docs.cloud.google.com/text-to-speech/docs/chirp3-hd, whose voices have the same names.
# Tone: ai.google.dev/gemini-api/docs/speech-generation#voices. Both as of 2026. Each speaks every language.
VOICES = (
    Voice("Puck", "masculine", "bright"),  # upbeat
    Voice("Charon", "masculine", "clear"),  # informative
    Voice("Kore", "feminine", "firm"),
    Voice("Fenrir", "masculine", "bright"),  # excitable
    Voice("Aoede", "feminine", "warm"),  # breezy
    Voice("Leda", "feminine", "bright"),  # youthful
    Voice("Orus", "masculine", "firm"),
    Voice("Zephyr", "feminine", "bright"),
    Voice("Achernar", "feminine", "soft"),
    Voice("Achird", "masculine", "warm"),  # friendly
    Voice("Algenib", "masculine", "firm"),  # gravelly
    Voice("Algieba", "masculine", "calm"),  # smooth
    Voice("Alnilam", "masculine", "firm"),
    Voice("Autonoe", "feminine", "bright"),
    Voice("Callirrhoe", "feminine", "calm"),  # easy-going
    Voice("Despina", "feminine", "calm"),  # smooth
    Voice("Enceladus", "masculine", "soft"),  # breathy
    Voice("Erinome", "feminine", "clear"),
    Voice("Gacrux", "feminine", "firm"),  # mature
    Voice("Iapetus", "masculine", "clear"),
    Voice("Laomedeia", "feminine", "bright"),  # upbeat
    Voice("Pulcherrima", "feminine", "firm"),  # forward
    Voice("Rasalgethi", "masculine", "clear"),  # informative
    Voice("Sadachbia", "masculine", "bright"),  # lively
    Voice("Sadaltager", "masculine", "clear"),  # knowledgeable
    Voice("Schedar", "masculine", "calm"),  # even
    Voice("Sulafat", "feminine", "warm"),
    Voice("Umbriel", "masculine", "calm"),  # easy-going
    Voice("Vindemiatrix", "feminine", "soft"),  # gentle
    Voice("Zubenelgenubi", "masculine", "calm"),  # casual
)
