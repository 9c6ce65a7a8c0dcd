"""What a session uses, as the vendor counts it: each report is of one turn, with all that was in its context."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from voxengine import events as ev
from voxengine.providers.gemini.codec import Count, Usage

__all__ = ["Meter"]

_COUNTS = (
    "input_text_tokens",
    "input_audio_tokens",
    "input_image_tokens",
    "cached_text_tokens",
    "cached_audio_tokens",
    "cached_image_tokens",
    "output_text_tokens",
    "output_audio_tokens",
)


class Meter:
    """Adds up the reports of one connection.

    That they are of one turn each was seen on live sessions of several models, as is told in
    github.com/pydantic/pydantic-ai/pull/7269.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._total = dict.fromkeys(_COUNTS, 0)

    def add(self, usage: Usage, meta: dict[str, Any]) -> list[ev.ProviderEvent]:
        """A report; empty if it counts nothing."""
        text, audio, image = _by_kind(
            usage.prompt_token_count + usage.tool_use_prompt_token_count,
            usage.prompt_tokens_details,
        )
        cached = _by_kind(usage.cached_content_token_count, usage.cache_tokens_details)
        said_text, said_audio, _ = _by_kind(
            usage.response_token_count, usage.response_tokens_details
        )
        # Thoughts are billed as text of the answer.
        values = (text, audio, image, *cached, said_text + usage.thoughts_token_count, said_audio)
        counts: dict[str, Any] = dict(zip(_COUNTS, values, strict=True))
        if not any(values):
            return []
        for name, value in counts.items():
            self._total[name] += value
        return [ev.UsageUpdated(model=self._model, **counts, **meta)]

    def total(self) -> dict[str, Any]:
        """All so far."""
        return {"model": self._model, **self._total}


def _by_kind(count: int, details: Iterable[Count] | None) -> tuple[int, int, int]:
    """Tokens of text, audio and images. The details need not add up: what they leave open is taken for text."""
    audio = image = 0
    for detail in details or ():
        if detail.modality == "AUDIO":
            audio += detail.token_count
        elif detail.modality in ("IMAGE", "VIDEO"):
            image += detail.token_count
    return max(0, count - audio - image), audio, image
