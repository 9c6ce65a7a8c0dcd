"""`local`: a whole voice on this machine, with no key and no network."""

from __future__ import annotations

import msgspec

from voxengine.providers.cascade.abilities import CASCADE
from voxengine.providers.cascade.provider import CascadeProvider

__all__ = ["LocalProvider"]


class LocalProvider(CascadeProvider):
    """The cascade with its defaults: Silero VAD, adaptive silence, Whisper tiny.en, the scripted brain, hibari.

    Each part can be replaced by name, as in every cascade: `metadata={"llm": "openai-chat/llama3.2"}`.
    """

    capabilities = msgspec.structs.replace(
        CASCADE,
        on_device=True,
        languages=("en",),
        voices=("heart",),
        vocabulary=True,
    )
