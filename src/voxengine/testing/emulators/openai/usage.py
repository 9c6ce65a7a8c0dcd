"""What a response costs, in tokens that grow with what is really in the context and what is really said."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

import msgspec

from voxengine.testing.emulators.openai.items import OUTPUT_TOKENS_S, Item, Tokens, text_tokens

__all__ = ["Meter", "Total", "transcription_usage"]


class Total(msgspec.Struct):
    """All that a session has used."""

    responses: int = 0
    total_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0


class Meter:
    """Counts. What a response had in its context is cached for the next one, as far as it is still the same."""

    def __init__(self) -> None:
        self.total = Total()
        self._known: dict[str, Tokens] = {}
        self._prompt = ""

    def response(
        self, prompt: tuple[str | None, Any], context: Iterable[Item], output: Iterable[Item]
    ) -> dict[str, Any]:
        """The usage of a response. `prompt` is the instructions and the tools."""
        instructions, tools = prompt
        words = (instructions or "") + (json.dumps(tools) if tools else "")
        sizes = {item.id: item.tokens for item in context}
        head = Tokens(text=text_tokens(words))
        spent = sum(sizes.values(), head)
        cached = head if words == self._prompt else Tokens()
        if words == self._prompt:
            for item_id, size in sizes.items():
                if self._known.get(item_id) != size:
                    break  # a cache holds a beginning, not what comes after a change
                cached += size
        self._prompt, self._known = words, sizes
        said = sum((_said(item) for item in output), Tokens())
        self._add(spent, cached, said)
        return {
            "total_tokens": spent.total + said.total,
            "input_tokens": spent.total,
            "output_tokens": said.total,
            "input_token_details": {
                "text_tokens": spent.text,
                "audio_tokens": spent.audio,
                "image_tokens": spent.image,
                "cached_tokens": cached.total,
                "cached_tokens_details": {
                    "text_tokens": cached.text,
                    "audio_tokens": cached.audio,
                    "image_tokens": cached.image,
                },
            },
            "output_token_details": {"text_tokens": said.text, "audio_tokens": said.audio},
        }

    def _add(self, spent: Tokens, cached: Tokens, said: Tokens) -> None:
        total = self.total
        total.responses += 1
        total.total_tokens += spent.total + said.total
        total.input_tokens += spent.total
        total.output_tokens += said.total
        total.cached_tokens += cached.total
        total.input_audio_tokens += spent.audio
        total.output_audio_tokens += said.audio


def _said(item: Item) -> Tokens:
    """What an item of the output has cost: the words of speech are billed beside the speech."""
    words = item.text + str(item.value.get("name") or "") + str(item.value.get("arguments") or "")
    return Tokens(text_tokens(words), math.ceil(item.audio_ms / 1000 * OUTPUT_TOKENS_S))


def transcription_usage(model: str | None, item: Item, text: str) -> dict[str, Any]:
    """The usage of a transcription: the gpt-4o models are billed by tokens, the others by time."""
    if not (model or "").startswith("gpt-4o-"):
        return {"type": "duration", "seconds": round(item.audio_ms / 1000, 3)}
    heard, written = item.tokens.audio, text_tokens(text)
    return {
        "type": "tokens",
        "total_tokens": heard + written,
        "input_tokens": heard,
        "output_tokens": written,
        "input_token_details": {"audio_tokens": heard, "text_tokens": 0},
    }
