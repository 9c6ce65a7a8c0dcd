"""The voices of the vendors and what is known of each, as data.

Of each vendor the default comes first. The tone is one word of `TONES`, chosen by the vendor's own words, which are in
the comment where they differ. A vendor's page is named with the day it was read.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["TONES", "VOICES", "Presentation", "Tone", "Voice"]

#: How a voice presents. A vendor that says "female" or "male-sounding" is taken to mean this.
Presentation = Literal["feminine", "masculine", "neutral"]

Tone = Literal["soft", "calm", "warm", "clear", "firm", "bright"]
#: From the quietest to the liveliest: neighbours are alike.
TONES: tuple[Tone, ...] = ("soft", "calm", "warm", "clear", "firm", "bright")


class Voice(msgspec.Struct, frozen=True):
    """One voice. `name` is what people call it; `id`, where there is one, is what the vendor wants to be told.

    `language` is the language or locale whose sound it has; None where the vendor names none.
    """

    name: str
    presentation: Presentation
    tone: Tone
    language: str | None = None
    id: str | None = None

    @property
    def wire_name(self) -> str:
        """What is sent to the vendor."""
        return self.id or self.name


# The names: `voice` in openai.types.realtime.RealtimeAudioConfigOutput (openai 3.54). OpenAI publishes no traits of
# these; they are as one hears them, and as third parties' catalogues of them agree.
_OPENAI = (
    Voice("marin", "feminine", "warm"),
    Voice("cedar", "masculine", "warm"),
    Voice("alloy", "neutral", "clear"),
    Voice("ash", "masculine", "clear"),
    Voice("ballad", "masculine", "soft"),
    Voice("coral", "feminine", "bright"),
    Voice("echo", "masculine", "calm"),
    Voice("sage", "feminine", "calm"),
    Voice("shimmer", "feminine", "soft"),
    Voice("verse", "masculine", "bright"),
)

# The names: openai.types.live.BuiltInVoice (openai 3.54). Presentation and region of those that the Realtime API does
# not have: developers.openai.com/api/docs/guides/live-conversations, as cited in September 2026. It says nothing of
# tones, so that "clear" stands for none, and nothing of shida, which counts as neutral until it does.
_OPENAI_LIVE = (
    *_OPENAI,
    Voice("beacon", "masculine", "clear", "en-PH"),
    Voice("bossa", "feminine", "clear", "pt-BR"),
    Voice("cinder", "masculine", "clear", "en-US"),  # of the South
    Voice("delta", "feminine", "clear", "en-US"),  # of the South
    Voice("gleam", "feminine", "clear", "en-US"),
    Voice("meridian", "masculine", "clear", "en-US"),
    Voice("quartz", "feminine", "clear", "en-AU"),
    Voice("ripple", "masculine", "clear", "en-AU"),
    Voice("shida", "neutral", "clear"),
    Voice("stone", "masculine", "clear", "en-IE"),
    Voice("tempo", "masculine", "clear", "pt-BR"),
    Voice("vesper", "masculine", "clear", "en-GB"),
    Voice("willow", "feminine", "clear", "en-IE"),
)

# docs.x.ai/docs/guides/voice/agent: "Voice Options" has type and tone of each (copy of 2026).
_XAI = (
    Voice("ara", "feminine", "warm"),
    Voice("eve", "feminine", "bright"),  # energetic, upbeat
    Voice("leo", "masculine", "firm"),  # authoritative, strong
    Voice("rex", "masculine", "clear"),  # confident, clear
    Voice("sal", "neutral", "calm"),  # smooth, balanced
)

# Presentation: docs.cloud.google.com/text-to-speech/docs/chirp3-hd, whose voices have the same names.
# Tone: ai.google.dev/gemini-api/docs/speech-generation#voices. Both as of 2026. Each speaks every language.
_GEMINI = (
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

# docs.aws.amazon.com/nova/latest/nova2-userguide/sonic-language-support.html (Nova 2 Sonic; copy of 2026), and
# .../nova/latest/userguide/available-voices.html for greta, the German voice of the first Nova Sonic, which the second
# has not. AWS says nothing of tones, so that "clear" stands for none.
_NOVA_SONIC = (
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
    Voice("tina", "feminine", "clear", "de-DE"),
    Voice("greta", "feminine", "clear", "de-DE"),
    Voice("lennart", "masculine", "clear", "de-DE"),
    Voice("lupe", "feminine", "clear", "es-US"),
    Voice("carlos", "masculine", "clear", "es-US"),
    Voice("carolina", "feminine", "clear", "pt-BR"),
    Voice("leo", "masculine", "clear", "pt-BR"),
)

# The premade voices that every account has; labels as in answers of api.elevenlabs.io/v1/voices that are public (2025
# and 2026). The multilingual models speak any language with them; the accent is what is given here.
_ELEVENLABS = (
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

# developers.deepgram.com/docs/tts-models (copy of 2026): the six that it features, and of the others those of accents
# and tones which these have not.
_DEEPGRAM = (
    Voice("thalia", "feminine", "bright", "en-US", "aura-2-thalia-en"),  # clear, energetic
    Voice("apollo", "masculine", "calm", "en-US", "aura-2-apollo-en"),  # comfortable, casual
    Voice("andromeda", "feminine", "calm", "en-US", "aura-2-andromeda-en"),  # casual
    Voice("helena", "feminine", "warm", "en-US", "aura-2-helena-en"),  # caring, friendly
    Voice("arcas", "masculine", "clear", "en-US", "aura-2-arcas-en"),  # natural, clear
    Voice("aries", "masculine", "warm", "en-US", "aura-2-aries-en"),  # warm, energetic
    Voice("electra", "feminine", "clear", "en-US", "aura-2-electra-en"),  # professional
    Voice("atlas", "masculine", "bright", "en-US", "aura-2-atlas-en"),  # enthusiastic
    Voice("saturn", "masculine", "firm", "en-US", "aura-2-saturn-en"),  # confident, baritone
    Voice("pandora", "feminine", "soft", "en-GB", "aura-2-pandora-en"),  # melodic, breathy
    Voice("draco", "masculine", "warm", "en-GB", "aura-2-draco-en"),
    Voice("theia", "feminine", "clear", "en-AU", "aura-2-theia-en"),  # expressive, polite
    Voice("hyperion", "masculine", "warm", "en-AU", "aura-2-hyperion-en"),  # caring, warm
    Voice("celeste", "feminine", "bright", "es-CO", "aura-2-celeste-es"),  # clear, energetic
    Voice("nestor", "masculine", "calm", "es-ES", "aura-2-nestor-es"),
    Voice("agathe", "feminine", "bright", "fr-FR", "aura-2-agathe-fr"),  # cheerful
    Voice("hector", "masculine", "warm", "fr-FR", "aura-2-hector-fr"),  # empathetic, friendly
    Voice("viktoria", "feminine", "warm", "de-DE", "aura-2-viktoria-de"),  # cheerful, warm
    Voice("julius", "masculine", "calm", "de-DE", "aura-2-julius-de"),  # casual, friendly
)

# hibari.voices.VOICES (hibari-tts 0.2.1), which has language and gender. Only the first is in the package. The tones
# are as one hears them.
_LOCAL = (
    Voice("heart", "feminine", "warm", "en-US"),
    Voice("emma", "feminine", "clear", "en-GB"),
    Voice("fenrir", "masculine", "firm", "en-US"),
    Voice("fable", "masculine", "clear", "en-GB"),
    Voice("kore", "feminine", "firm", "en-US"),
)

#: By vendor. Where two have a voice of the same name, the first is the one that a bare name means.
VOICES: dict[str, tuple[Voice, ...]] = {
    "openai": _OPENAI,
    "azure": _OPENAI,  # Azure OpenAI offers the same models
    "openai-live": _OPENAI_LIVE,
    "xai": _XAI,
    "gemini": _GEMINI,
    "nova-sonic": _NOVA_SONIC,
    "elevenlabs": _ELEVENLABS,
    "deepgram": _DEEPGRAM,
    "local": _LOCAL,
}
