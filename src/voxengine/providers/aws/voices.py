"""Voices of Amazon Polly that have a neural engine, by the "available voices" page of its guide.

It says nothing of tones: "clear" is none.
"""

from voxengine.providers.voice_table import Voice

__all__ = ["VOICES"]

VOICES = (
    Voice("Joanna", "feminine", "clear", "en-US"),
    Voice("Matthew", "masculine", "clear", "en-US"),
    Voice("Ruth", "feminine", "clear", "en-US"),
    Voice("Stephen", "masculine", "clear", "en-US"),
    Voice("Danielle", "feminine", "clear", "en-US"),
    Voice("Gregory", "masculine", "clear", "en-US"),
    Voice("Amy", "feminine", "clear", "en-GB"),
    Voice("Arthur", "masculine", "clear", "en-GB"),
    Voice("Olivia", "feminine", "clear", "en-AU"),
    Voice("Kajal", "feminine", "clear", "en-IN"),
    Voice("Vicki", "feminine", "clear", "de-DE"),
    Voice("Daniel", "masculine", "clear", "de-DE"),
    Voice("Léa", "feminine", "clear", "fr-FR", id="Lea"),
    Voice("Rémi", "masculine", "clear", "fr-FR", id="Remi"),
    Voice("Lucia", "feminine", "clear", "es-ES"),
    Voice("Sergio", "masculine", "clear", "es-ES"),
    Voice("Lupe", "feminine", "clear", "es-US"),
    Voice("Pedro", "masculine", "clear", "es-US"),
    Voice("Bianca", "feminine", "clear", "it-IT"),
    Voice("Adriano", "masculine", "clear", "it-IT"),
    Voice("Camila", "feminine", "clear", "pt-BR"),
    Voice("Thiago", "masculine", "clear", "pt-BR"),
    Voice("Takumi", "masculine", "clear", "ja-JP"),
    Voice("Kazuha", "feminine", "clear", "ja-JP"),
    Voice("Seoyeon", "feminine", "clear", "ko-KR"),
    Voice("Zhiyu", "feminine", "clear", "cmn-CN"),
    Voice("Laura", "feminine", "clear", "nl-NL"),
    Voice("Ola", "feminine", "clear", "pl-PL"),
)
