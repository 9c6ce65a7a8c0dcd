"""When a response of the mock sends what: worked out beforehand, so that it is exact and can be looked at."""

from __future__ import annotations

import re
from typing import TypeAlias

import msgspec

from voxengine.audio.formats import AudioFormat
from voxengine.providers.mock.script import Reply, ToolUse

__all__ = ["AudioStep", "CallStep", "EndStep", "Pace", "Step", "TextStep", "plan_response"]


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How fast a response comes. Times are milliseconds."""

    #: From the request to the first words, and between chunks beyond the audio's own pace.
    first_ms: float = 0.0
    chunk_latency_ms: float = 0.0
    #: Length of a chunk of audio, and how many times faster than it plays it is sent.
    chunk_ms: float = 100.0
    realtime_factor: float = 4.0
    ms_per_word: float = 350.0


class TextStep(msgspec.Struct, frozen=True):
    """Send words, which are spoken from `start_ms` to `end_ms` of the item (None: not spoken)."""

    at_ms: float
    text: str
    more: bool
    start_ms: float | None = None
    end_ms: float | None = None


class AudioStep(msgspec.Struct, frozen=True):
    """Send a chunk of audio."""

    at_ms: float
    audio: bytes


class CallStep(msgspec.Struct, frozen=True):
    """Call tools."""

    at_ms: float
    tools: tuple[ToolUse, ...]


class EndStep(msgspec.Struct, frozen=True):
    """All is sent. `reason` is not empty if it is not all that there was to say."""

    at_ms: float
    reason: str = ""


Step: TypeAlias = TextStep | AudioStep | CallStep | EndStep


def plan_response(
    reply: Reply, format: AudioFormat | None, pace: Pace, max_words: int | None = None
) -> list[Step]:
    """The steps of a response, in order, in milliseconds from its beginning. Without a format it is not spoken."""
    pieces = _pieces(reply.text)
    cut = max_words is not None and len(pieces) > max_words
    if cut:
        pieces = pieces[:max_words]
    first = pace.first_ms + reply.delay_ms
    if format is not None and reply.audio:
        steps = _spoken(pieces, format, pace, first)
    else:
        steps = _written(pieces, pace, first)
    end = steps[-1].at_ms if steps else first
    if reply.tools and not cut:
        steps.append(CallStep(end, reply.tools))
    steps.append(EndStep(end, "max_output_tokens" if cut else ""))
    return steps


def _pieces(text: str) -> list[str]:
    """Words, each with the white space before it; joined they are the text."""
    pieces = re.findall(r"\s*\S+", text)
    if pieces:
        pieces[-1] += text[sum(map(len, pieces)) :]
    return pieces


def _spoken(pieces: list[str], format: AudioFormat, pace: Pace, first: float) -> list[Step]:
    from voxengine.audio.signal import speak, timeline

    text = "".join(pieces)
    audio = speak(text, format, ms_per_word=pace.ms_per_word)
    words = timeline(text, ms_per_word=pace.ms_per_word)
    size = max(format.bytes_per_frame, format.n_bytes(pace.chunk_ms))
    steps: list[Step] = []
    said = 0
    for k, offset in enumerate(range(0, len(audio), size)):
        at = first + k * (pace.chunk_ms / pace.realtime_factor + pace.chunk_latency_ms)
        chunk = audio[offset : offset + size]
        # Words come before the audio that they begin in.
        while said < len(words) and words[said].start_ms < format.duration_ms(offset + len(chunk)):
            word = words[said]
            steps.append(
                TextStep(at, pieces[said], said + 1 < len(pieces), word.start_ms, word.end_ms)
            )
            said += 1
        steps.append(AudioStep(at, chunk))
    return steps


def _written(pieces: list[str], pace: Pace, first: float) -> list[Step]:
    gap = pace.ms_per_word / pace.realtime_factor + pace.chunk_latency_ms
    return [TextStep(first + i * gap, piece, i + 1 < len(pieces)) for i, piece in enumerate(pieces)]
