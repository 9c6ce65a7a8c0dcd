"""What the session says by itself, made fit for the call: the samples of a sentence in the application's format."""

from __future__ import annotations

from voxengine.audio.formats import AudioFormat
from voxengine.audio.sentence import Sentence, SentenceLike, as_sentence, samples_of
from voxengine.errors import AudioError
from voxengine.session import effects as fx

__all__ = ["announcement", "prepare", "words_of"]


def prepare(what: SentenceLike, format: AudioFormat) -> Sentence | None:
    """Check it and read its file, so that `announcement` finds it read. May be called in a thread.

    Raises:
        ConfigurationError: it is no sentence, or its file cannot be used.
    """
    sentence = as_sentence("a sentence", what)
    if sentence is not None and sentence.audio is not None:
        samples_of(sentence.audio, format)
    return sentence


def announcement(sentence: Sentence, format: AudioFormat) -> fx.Announce:
    """The command that has it said.

    Raises:
        AudioError: the recording cannot be used any more, or cannot be read.
    """
    audio = b""
    if sentence.audio is not None:
        try:
            audio = samples_of(sentence.audio, format)
        except OSError as failure:
            raise AudioError(
                f"{sentence.audio} cannot be read: {failure.strerror or failure}",
                code="audio_unreadable",
            ) from None
    return fx.Announce(sentence.text, audio, format)


def words_of(sentence: Sentence, format: AudioFormat) -> fx.Announce:
    """As `announcement`, without the recording."""
    return fx.Announce(sentence.text, b"", format)
