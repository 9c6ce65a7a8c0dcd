"""Voices of the Voice Agent: those that its server named in September 2026, the default of its pages first.

It tells no traits of them. The presentation is that of the name.
"""

from voxengine.providers.voice_table import Voice

__all__ = ["VOICES"]

VOICES = (
    Voice("alba", "feminine", "clear"),
    Voice("anna", "feminine", "clear"),
    Voice("charles", "masculine", "clear"),
    Voice("estelle", "feminine", "clear"),
    Voice("eve", "feminine", "clear"),
    Voice("george", "masculine", "clear"),
    Voice("giovanni", "masculine", "clear"),
    Voice("iris", "feminine", "clear"),
    Voice("jane", "feminine", "clear"),
    Voice("jean", "masculine", "clear"),
    Voice("juergen", "masculine", "clear"),
    Voice("lola", "feminine", "clear"),
    Voice("mary", "feminine", "clear"),
    Voice("michael", "masculine", "clear"),
    Voice("paul", "masculine", "clear"),
    Voice("rafael", "masculine", "clear"),
    Voice("reid", "masculine", "clear"),
    Voice("vera", "feminine", "clear"),
)
