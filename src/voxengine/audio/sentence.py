"""Sentences that are there as a recording, so that they can be said without a provider."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec

from voxengine.audio.formats import AudioFormat
from voxengine.data import SENTENCES, sentence_path
from voxengine.errors import AudioError, ConfigurationError

__all__ = ["SHIPPED", "Sentence", "SentenceLike", "as_sentence", "samples_of"]

#: Seconds that a sentence may last.
LONGEST_S = 60.0
#: What stands for silence where there is no None: in a TOML file and in the environment.
_NOTHING = (None, False, "", "none")


class Sentence(msgspec.Struct, frozen=True):
    """Words, and the path of a WAV file in which they are spoken. Either may be missing, not both."""

    text: str = ""
    audio: str | None = None


#: What may stand for a sentence: itself, the path of a WAV file, a dict of `text` and `audio`, or None for silence.
SentenceLike: TypeAlias = "Sentence | str | os.PathLike[str] | Mapping[str, Any] | None"

#: The sentences that come with the package, by name.
SHIPPED = {name: Sentence(text, str(sentence_path(name))) for name, text in SENTENCES.items()}


def as_sentence(name: str, value: Any) -> Sentence | None:
    """A sentence from what may stand for one: itself, the path of a WAV file, or a dict of `text` and `audio`.

    None, False, "" and "none" are no sentence.

    Raises:
        ConfigurationError: it stands for none, or the file cannot be used; `name` says which setting it was.
    """
    if isinstance(value, (str, bool, type(None))) and value in _NOTHING:
        return None
    sentence = value if isinstance(value, Sentence) else _made(name, value)
    if not isinstance(sentence.text, str) or not isinstance(sentence.audio, (str, type(None))):
        raise ConfigurationError(f"{name}: text is a string, and audio the path of a WAV file")
    if not sentence.text.strip() and sentence.audio is None:
        raise ConfigurationError(f"{name} has neither text nor audio; None says nothing")
    if sentence.audio is not None and sentence not in SHIPPED.values():
        _check(name, sentence.audio)
    return sentence


def _made(name: str, value: Any) -> Sentence:
    if isinstance(value, (str, os.PathLike)):
        return Sentence(audio=os.fspath(value))
    if not isinstance(value, Mapping) or set(value) - {"text", "audio"}:
        raise ConfigurationError(
            f"{name} is the path of a WAV file, a dict of 'text' and 'audio', or None, not {value!r}"
        )
    audio = value.get("audio")
    return Sentence(
        value.get("text", ""), os.fspath(audio) if isinstance(audio, os.PathLike) else audio
    )


def _check(name: str, path: str) -> None:
    try:
        samples_of(path, AudioFormat(sample_rate=16000))
    except AudioError as failure:
        raise ConfigurationError(f"{name}: {failure}") from None
    except OSError as failure:
        raise ConfigurationError(
            f"{name}: {path} cannot be read: {failure.strerror or failure}"
        ) from None


@lru_cache(maxsize=32)
def samples_of(path: str, format: AudioFormat) -> bytes:
    """The recording in this format, mono. It is read once for each format, and remembered.

    Raises:
        AudioError: the file is not 16-bit PCM in mono, or is longer than `LONGEST_S`.
        OSError: it cannot be opened.
    """
    from voxengine.audio.wav import load_speech

    samples = load_speech(path, format)
    seconds = format.duration_ms(len(samples)) / 1000
    if seconds > LONGEST_S:
        raise AudioError(
            f"{path} lasts {seconds:.0f} s; a sentence may last {LONGEST_S:.0f} s",
            code="audio_too_long",
        )
    return samples
