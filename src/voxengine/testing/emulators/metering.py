"""What an emulated model uses: tokens that grow with what it knows and says, seconds and characters."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from voxengine.testing.emulators.answer import Answer
from voxengine.testing.emulators.memory import joined

__all__ = ["Meter", "ModelUsage", "text_tokens"]


def text_tokens(text: str) -> int:
    """About four characters to a token."""
    return math.ceil(len(text) / 4)


class ModelUsage(msgspec.Struct, kw_only=True):
    """What was used: tokens by kind, seconds of audio, and characters that were spoken."""

    replies: int = 0
    input_text_tokens: int = 0
    input_audio_tokens: int = 0
    output_text_tokens: int = 0
    output_audio_tokens: int = 0
    input_seconds: float = 0.0
    output_seconds: float = 0.0
    characters: int = 0

    @property
    def input_tokens(self) -> int:
        """All tokens of the context."""
        return self.input_text_tokens + self.input_audio_tokens

    @property
    def output_tokens(self) -> int:
        """All tokens that were made."""
        return self.output_text_tokens + self.output_audio_tokens

    @property
    def total_tokens(self) -> int:
        """All tokens."""
        return self.input_tokens + self.output_tokens

    def add(self, other: ModelUsage) -> None:
        """Count another one to this."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Meter:
    """Counts. `total` is all that was used, `last` what the last answer did."""

    def __init__(self) -> None:
        self.total = ModelUsage()
        self.last = ModelUsage()
        #: Seconds of the user's turns, which stay in the context.
        self.spoken_s = 0.0
        self._billed_s = 0.0

    def count(
        self, answer: Answer, context: Iterable[str], heard_s: float, tokens_s: float
    ) -> None:
        """An answer has ended, for which the model knew `context`; `heard_s` seconds of audio came in until then."""
        said = joined(answer.words)
        self.last = ModelUsage(
            replies=1,
            input_text_tokens=sum(map(text_tokens, context)),
            input_audio_tokens=round(self.spoken_s * tokens_s),
            output_text_tokens=text_tokens(said),
            output_audio_tokens=round(answer.audio_ms / 1000 * tokens_s),
            input_seconds=heard_s - self._billed_s,
            output_seconds=answer.audio_ms / 1000,
            characters=len(said) if answer.began is not None else 0,
        )
        self._billed_s = heard_s
        self.total.add(self.last)
