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

# hibari.voices.VOICES (hibari-tts 0.2.1), which has language and gender. Only the first is in the package. The tones
# are as one hears them.
_LOCAL = (
    Voice("heart", "feminine", "warm", "en-US"),
    Voice("emma", "feminine", "clear", "en-GB"),
    Voice("fenrir", "masculine", "firm", "en-US"),
    Voice("fable", "masculine", "clear", "en-GB"),
    Voice("kore", "feminine", "firm", "en-US"),
)

#: By vendor; the others have theirs in their own folders, and name them in their manifests.
VOICES: dict[str, tuple[Voice, ...]] = {
    "openai": _OPENAI,
    "azure": _OPENAI,  # Azure OpenAI offers the same models
    "openai-live": _OPENAI_LIVE,
    "xai": _XAI,
    "local": _LOCAL,
}
