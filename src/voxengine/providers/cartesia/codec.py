"""Cartesia's messages for text to speech: what is sent, and what comes. Pure.

Facts: the types of the `cartesia` package (4.2), and docs.cartesia.ai, "Contexts" (copy of 2026). All that is said in
one context is one stretch of speech; every input of a context repeats its settings.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

__all__ = [
    "Chunk",
    "Done",
    "Failure",
    "FlushDone",
    "Message",
    "Timestamps",
    "Unknown",
    "VoiceSettings",
    "decode",
    "encode_cancel",
    "encode_text",
]


class VoiceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How one answer is spoken."""

    model: str
    #: The id of the voice.
    voice: str
    sample_rate: int
    language: str | None = None
    #: The vendor's `generation_config`: speed, volume, emotion, as far as they are not as usual.
    generation: dict[str, float | str] = {}
    #: Milliseconds for which the vendor gathers words before it speaks; None is its own default.
    buffer_ms: int | None = None
    pronunciation: str | None = None


# -- what is sent


class _Voice(msgspec.Struct, frozen=True):
    id: str
    mode: str = "id"


class _Format(msgspec.Struct, frozen=True):
    sample_rate: int
    container: str = "raw"
    encoding: str = "pcm_s16le"


class _Input(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    context_id: str
    model_id: str
    transcript: str
    voice: _Voice
    output_format: _Format
    more: bool | msgspec.UnsetType = msgspec.field(name="continue", default=msgspec.UNSET)
    add_timestamps: bool | msgspec.UnsetType = msgspec.UNSET
    use_normalized_timestamps: bool | msgspec.UnsetType = msgspec.UNSET
    flush: bool = False
    language: str | None = None
    generation_config: dict[str, float | str] = {}
    max_buffer_delay_ms: int | None = None
    pronunciation_dict_id: str | None = None


class _Cancel(msgspec.Struct, frozen=True):
    context_id: str
    cancel: bool = True


_encoder = msgspec.json.Encoder()


def encode_text(
    settings: VoiceSettings, context_id: str, text: str, *, more: bool = True, flush: bool = False
) -> bytes:
    """An input of a context. `more`: others may follow; `flush`: speak now what has come so far."""
    message = _Input(
        context_id=context_id,
        model_id=settings.model,
        transcript=text,
        voice=_Voice(settings.voice),
        output_format=_Format(settings.sample_rate),
        more=more,
        add_timestamps=True,
        # The words as we wrote them: "10", not "ten".
        use_normalized_timestamps=False,
        flush=flush,
        language=settings.language,
        generation_config=settings.generation,
        max_buffer_delay_ms=settings.buffer_ms,
        pronunciation_dict_id=settings.pronunciation,
    )
    return _encoder.encode(message)


def encode_cancel(context_id: str) -> bytes:
    """Say no more in a context."""
    return _encoder.encode(_Cancel(context_id))


# -- what comes


class Chunk(msgspec.Struct, frozen=True, tag_field="type", tag="chunk"):
    """A piece of speech. `flush_id` counts the flushes of the context, from 1, where there were any."""

    context_id: str
    #: pcm16; the wire has it as base64.
    data: bytes
    flush_id: int | None = None


class _Words(msgspec.Struct, frozen=True):
    words: list[str] = []
    #: Seconds.
    start: list[float] = []
    end: list[float] = []


class Timestamps(msgspec.Struct, frozen=True, tag_field="type", tag="timestamps"):
    """Where words are in the speech."""

    context_id: str
    word_timestamps: _Words | None = None
    flush_id: int | None = None


class FlushDone(msgspec.Struct, frozen=True, tag_field="type", tag="flush_done"):
    """All that came before a flush has been spoken."""

    context_id: str
    flush_id: int = 0


class Done(msgspec.Struct, frozen=True, tag_field="type", tag="done"):
    """The context is over: it was ended, or nothing came for a while."""

    context_id: str


class Failure(msgspec.Struct, frozen=True, tag_field="type", tag="error"):
    """Something is wrong with a context, or with the connection if it names none."""

    context_id: str | None = None
    status_code: int | None = None
    error_code: str | None = None
    title: str | None = None
    message: str | None = None
    #: How versions of the API before 2026-03-01 told it.
    error: str | None = None

    @property
    def words(self) -> str:
        """What is wrong, in the vendor's words."""
        found = [part for part in (self.title, self.message, self.error) if part]
        return ": ".join(dict.fromkeys(found)) or self.error_code or "an error without words"


class Unknown(msgspec.Struct, frozen=True):
    """A message of a type that is not known, or that does not matter here."""

    type: str


Message: TypeAlias = Chunk | Timestamps | FlushDone | Done | Failure | Unknown

_decoder = msgspec.json.Decoder(Chunk | Timestamps | FlushDone | Done | Failure)
_unknown = msgspec.json.Decoder(Unknown)
_KNOWN = frozenset({"chunk", "timestamps", "flush_done", "done", "error"})


def decode(payload: memoryview | bytes) -> Message:
    """A message of the vendor's.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError: it is not what it should be.
    """
    try:
        known: Message = _decoder.decode(payload)
    except msgspec.ValidationError:
        other: Unknown = _unknown.decode(payload)
        if other.type in _KNOWN:
            raise
        return other
    return known
