"""What the vendor says was used, as our event."""

from __future__ import annotations

from typing import Any

from voxengine.events import UsageUpdated
from voxengine.providers.openai.messages import (
    InputTokens,
    OutputTokens,
    TranscriptionUsage,
    Usage,
)

__all__ = ["of_response", "of_transcription"]


def of_response(
    usage: Usage, response_id: str | None, model: str, meta: dict[str, Any]
) -> UsageUpdated:
    """The tokens of one response.

    Tokens of audio cost many times those of text. So where a vendor gives sums without details there is no price: they
    are counted as text, of no model.
    """
    given, out = usage.input_token_details, usage.output_token_details
    detailed = (given is not None or not usage.input_tokens) and (
        out is not None or not usage.output_tokens
    )
    given, out = given or InputTokens(), out or OutputTokens()
    audio_in, image_in = _count(given.audio_tokens), _count(given.image_tokens)
    text_in = _count(given.text_tokens, (usage.input_tokens or 0) - audio_in - image_in)
    audio_out = _count(out.audio_tokens)
    cached_text, cached_audio, cached_image = _cached(given, text_in, audio_in, image_in)
    return UsageUpdated(
        response_id=response_id,
        model=model if detailed else "",
        input_text_tokens=text_in,
        input_audio_tokens=audio_in,
        input_image_tokens=image_in,
        cached_text_tokens=cached_text,
        cached_audio_tokens=cached_audio,
        cached_image_tokens=cached_image,
        output_text_tokens=_count(out.text_tokens, (usage.output_tokens or 0) - audio_out),
        output_audio_tokens=audio_out,
        **meta,
    )


def _cached(given: InputTokens, text: int, audio: int, image: int) -> tuple[int, int, int]:
    """What was cached of the input's text, audio and images: never more than there is of each.

    A sum without kinds is of the text first, which stands at the beginning of a conversation.
    """
    kinds = given.cached_tokens_details
    if kinds is None:
        rest = _count(given.cached_tokens)
        cached_text = min(rest, text)
        cached_audio = min(rest - cached_text, audio)
        return cached_text, cached_audio, min(rest - cached_text - cached_audio, image)
    cached_audio, cached_image = _count(kinds.audio_tokens), _count(kinds.image_tokens)
    cached_text = _count(
        kinds.text_tokens, (given.cached_tokens or 0) - cached_audio - cached_image
    )
    return min(cached_text, text), min(cached_audio, audio), min(cached_image, image)


def _count(given: int | None, otherwise: int = 0) -> int:
    return max(0, given if given is not None else otherwise)


def of_transcription(
    usage: TranscriptionUsage, model: str, meta: dict[str, Any]
) -> UsageUpdated | None:
    """What writing down one item of the user used; None where it was nothing."""
    if usage.seconds is not None and usage.seconds > 0:
        return UsageUpdated(model=model, input_audio_seconds=usage.seconds, **meta)
    if not (usage.input_tokens or usage.output_tokens):
        return None
    details = usage.input_token_details or InputTokens()
    text = _count(details.text_tokens)
    audio = _count(details.audio_tokens, (usage.input_tokens or 0) - text)
    return UsageUpdated(
        model=model,
        input_audio_tokens=audio,
        input_text_tokens=text,
        output_text_tokens=_count(usage.output_tokens),
        **meta,
    )
