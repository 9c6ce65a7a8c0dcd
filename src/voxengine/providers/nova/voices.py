"""The voices of Nova Sonic, by the language support page of its user guide.

It says nothing of tones: "clear" is none.
"""

from voxengine.providers.voice_table import Voice

__all__ = ["VOICES"]

VOICES = (
    Voice("tiffany", "feminine", "clear", "en-US"),
    Voice("matthew", "masculine", "clear", "en-US"),
    Voice("amy", "feminine", "clear", "en-GB"),
    Voice("olivia", "feminine", "clear", "en-AU"),
    Voice("kiara", "feminine", "clear", "en-IN"),
    Voice("arjun", "masculine", "clear", "en-IN"),
    Voice("ambre", "feminine", "clear", "fr-FR"),
    Voice("florian", "masculine", "clear", "fr-FR"),
    Voice("beatrice", "feminine", "clear", "it-IT"),
    Voice("lorenzo", "masculine", "clear", "it-IT"),
    Voice("greta", "feminine", "clear", "de-DE"),
    Voice("lennart", "masculine", "clear", "de-DE"),
    Voice("lupe", "feminine", "clear", "es-US"),
    Voice("carlos", "masculine", "clear", "es-US"),
    Voice("carolina", "feminine", "clear", "pt-BR"),
    Voice("leo", "masculine", "clear", "pt-BR"),
)
