"""Voices of Deepgram: Aura-2 for `/v1/speak` and the agent, Flux for `/v2/speak`."""

from voxengine.providers.voice_table import Voice

__all__ = ["FLUX", "VOICES"]


def _aura(name: str, presentation: str, tone: str, language: str = "en-US") -> Voice:
    shown = f"aura-2-{name}-{language[:2]}"
    return Voice(shown, presentation, tone, language)  # type: ignore[arg-type]


# The featured voices of developers.deepgram.com/docs/tts-models (2026) and some for each language that it names. The
# tone is chosen by its words for them ("Clear, Confident, Energetic" and the like); "clear" where they say nothing.
VOICES = (
    _aura("thalia", "feminine", "clear"),
    _aura("andromeda", "feminine", "warm"),
    _aura("helena", "feminine", "warm"),
    _aura("apollo", "masculine", "calm"),
    _aura("arcas", "masculine", "clear"),
    _aura("aries", "masculine", "warm"),
    _aura("asteria", "feminine", "bright"),
    _aura("athena", "feminine", "calm"),
    _aura("aurora", "feminine", "bright"),
    _aura("hera", "feminine", "firm"),
    _aura("hermes", "masculine", "bright"),
    _aura("luna", "feminine", "soft"),
    _aura("orion", "masculine", "calm"),
    _aura("orpheus", "masculine", "firm"),
    _aura("zeus", "masculine", "firm"),
    _aura("pandora", "feminine", "calm", "en-GB"),
    _aura("draco", "masculine", "warm", "en-GB"),
    _aura("hyperion", "masculine", "warm", "en-AU"),
    _aura("theia", "feminine", "warm", "en-AU"),
    _aura("celeste", "feminine", "bright", "es-CO"),
    _aura("estrella", "feminine", "calm", "es-MX"),
    _aura("nestor", "masculine", "calm", "es-ES"),
    _aura("agathe", "feminine", "bright", "fr-FR"),
    _aura("hector", "masculine", "warm", "fr-FR"),
    _aura("viktoria", "feminine", "warm", "de-DE"),
    _aura("julius", "masculine", "calm", "de-DE"),
)

# Of `SpeakSettingsV1Provider` in the vendor's description of its interface (2026), which tells no traits.
FLUX = tuple(
    f"flux-{name}-en"
    for name in (
        "haley",
        "heather",
        "cole",
        "alexis",
        "priya",
        "jack",
        "bruce",
        "rufus",
        "drew",
        "renee",
        "marcus",
        "sharon",
    )
)
