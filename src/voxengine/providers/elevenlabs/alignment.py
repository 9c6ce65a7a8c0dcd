"""Characters and their times, as ElevenLabs tells them with each piece of speech, put together to words.

The times count from the beginning of the piece that they come with. A word may go on in the next piece: then it comes
in parts, for who listens should not have to wait for the rest of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from voxengine.providers.cascade.parts import SpokenWord

__all__ = ["words_in"]


def words_in(
    chars: Sequence[str],
    starts_ms: Sequence[float],
    durations_ms: Sequence[float],
    at_ms: float,
) -> list[SpokenWord]:
    """The words in a piece that begins at `at_ms` of the speech, each with the spaces before it.

    Raises:
        ValueError: there are not as many times as characters.
    """
    words: list[SpokenWord] = []
    text, begin, end = "", 0.0, 0.0
    for char, start, duration in zip(chars, starts_ms, durations_ms, strict=True):
        if char.isspace() and text.strip():
            words.append(SpokenWord(text, begin, end))
            text = ""
        if not text.strip():
            begin = at_ms + start
        text += char
        end = max(begin, at_ms + start + duration)
    if text.strip():
        words.append(SpokenWord(text, begin, end))
    return words
