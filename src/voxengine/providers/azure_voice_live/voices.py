"""Azure's voices, and a voice's name in the form that the vendor wants.

There are several hundred standard voices, each named by its locale. Those in `VOICES` are the ones to choose from when
another vendor's voice has to be stood in for; any other of Azure's may be named all the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from voxengine.errors import ConfigurationError
from voxengine.providers.voice_table import Voice
from voxengine.providers.voices import Mapped, map_voice

__all__ = ["NAMES", "STANDARD", "VOICES", "is_azure", "resolve", "voice_of"]

#: Of Azure's own, the default first.
# Presentation: as the vendor's list of standard voices states it. It gives no tones that can be compared, so that
# "clear" stands for none.
STANDARD = (
    Voice("en-US-AvaNeural", "feminine", "warm", "en-US"),
    Voice("en-US-AndrewNeural", "masculine", "warm", "en-US"),
    Voice("en-US-JennyNeural", "feminine", "clear", "en-US"),
    Voice("en-US-AriaNeural", "feminine", "bright", "en-US"),
    Voice("en-US-GuyNeural", "masculine", "clear", "en-US"),
    Voice("en-US-EmmaNeural", "feminine", "bright", "en-US"),
    Voice("en-US-BrianNeural", "masculine", "calm", "en-US"),
    Voice("en-GB-SoniaNeural", "feminine", "clear", "en-GB"),
    Voice("en-GB-RyanNeural", "masculine", "clear", "en-GB"),
    Voice("de-DE-KatjaNeural", "feminine", "clear", "de-DE"),
    Voice("de-DE-ConradNeural", "masculine", "clear", "de-DE"),
    Voice("es-ES-ElviraNeural", "feminine", "clear", "es-ES"),
    Voice("es-ES-AlvaroNeural", "masculine", "clear", "es-ES"),
    Voice("fr-FR-DeniseNeural", "feminine", "clear", "fr-FR"),
    Voice("fr-FR-HenriNeural", "masculine", "clear", "fr-FR"),
    Voice("it-IT-ElsaNeural", "feminine", "clear", "it-IT"),
    Voice("it-IT-DiegoNeural", "masculine", "clear", "it-IT"),
    Voice("pt-BR-FranciscaNeural", "feminine", "clear", "pt-BR"),
    Voice("pt-BR-AntonioNeural", "masculine", "clear", "pt-BR"),
    Voice("ja-JP-NanamiNeural", "feminine", "clear", "ja-JP"),
    Voice("ja-JP-KeitaNeural", "masculine", "clear", "ja-JP"),
    Voice("zh-CN-XiaoxiaoNeural", "feminine", "clear", "zh-CN"),
    Voice("zh-CN-YunxiNeural", "masculine", "clear", "zh-CN"),
)
# `OpenAIVoiceName`, as in the table of OpenAI's.
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

#: The default first.
VOICES = (*STANDARD, *_OPENAI)
NAMES = tuple(voice.name for voice in VOICES)

_OPENAI_NAMES = frozenset(voice.name for voice in _OPENAI)
#: `AzureRealtimeNativeVoiceName`: of Azure's own speech model.
_NATIVE_NAMES = frozenset(
    (
        *("aarti", "andrew", "ava", "denise", "diya", "elsa", "florian", "francisca"),
        *("meera", "xiaoxiao", "yunxi", "ximena"),
    )
)
#: en-US-AvaNeural, zh-CN-liaoning-XiaobeiNeural, en-US-Ava:DragonHDLatestNeural
_AZURE_NAME = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]+)+(:[A-Za-z0-9]+)?")
_KINDS = ("azure-standard", "azure-custom", "azure-personal", "azure-realtime-native", "openai")


def is_azure(wanted: str) -> bool:
    """Whether this is how Azure names a standard voice: by locale first."""
    return _AZURE_NAME.fullmatch(wanted.strip()) is not None


def resolve(wanted: str) -> Mapped:
    """The name of the voice that is sent; one of Azure's passes as it is, of another vendor's the nearest is taken."""
    name = wanted.strip()
    if is_azure(name) or name.lower() in _NATIVE_NAMES:
        return Mapped(name, exact=True)
    return map_voice(name, NAMES)


def voice_of(
    wanted: str, options: Mapping[str, Any] | None = None, speed: float | None = None
) -> str | dict[str, Any]:
    """A voice in the vendor's form.

    Args:
        wanted: a name.
        options: further settings of an Azure voice: `type` ("azure-custom" with `endpoint_id`, "azure-personal" with
            `model`), `style`, `rate`, `pitch`, `temperature`, `locale`, ...
        speed: how many times faster than it usually speaks; of an Azure voice.

    Raises:
        ConfigurationError: the options are none.
    """
    if options is not None and not isinstance(options, Mapping):
        raise ConfigurationError(f"voice_options are a dict, not {type(options).__name__}")
    more = dict(options or {})
    kind = more.pop("type", None)
    if kind is not None and kind not in _KINDS:
        raise ConfigurationError(
            f"voice_options: type {kind!r} is unknown; it is one of {', '.join(_KINDS)}"
        )
    name = wanted.strip() if kind is not None else resolve(wanted).voice
    if kind is None:
        if name in _OPENAI_NAMES:
            return name
        kind = "azure-realtime-native" if name.lower() in _NATIVE_NAMES else "azure-standard"
    if speed is not None and kind.startswith("azure-") and kind != "azure-realtime-native":
        more.setdefault("rate", f"{speed:g}")
    return {"type": kind, "name": name, **more}
