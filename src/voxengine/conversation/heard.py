"""Which words were heard, when so many milliseconds of the speech were.

Text and audio of one item come by different ways. `Span` ties them together as well as the provider lets us: some say
exactly where a sentence begins and ends in the audio; most only send text and audio in turn, text first. Where the end
of a span is unknown, the words are taken to be spread evenly over the audio up to the next span, and no further than
their share of the whole; both are upper bounds, and the smaller one counts. A word counts as heard when all of it was.

A vendor's text runs ahead of its audio. While an item is not complete, and for ever if it is broken off, the audio that
came may therefore hold fewer words than came: no more than speech at `FASTEST` letters a second. Where the text came
first, and came along with the audio for a second or more, the item's own rate is the limit if it is lower: how many
letters came for so much audio, from the first text that came after audio to the last. The lead of the text is not in
that. What the provider says of where words end is taken as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

__all__ = ["FASTEST", "Span", "text_heard"]

#: Letters a second that nobody exceeds who is to be understood: half as much again as quick reading aloud.
FASTEST = 25.0
#: A sign of a writing without spaces is a syllable or more, and takes as long as so many letters.
_SIGN = 2.5
#: So much audio has to lie between the first text that came after audio and the last, to tell the rate of speech.
_RATE_FROM_MS = 1000.0


class Span(msgspec.Struct, frozen=True, array_like=True):
    """From character `offset` on, the text is spoken from `start_ms` on, until `end_ms` if that is known."""

    offset: int
    start_ms: float
    end_ms: float | None = None


def text_heard(
    text: str,
    spans: Sequence[Span],
    audio_ms: float,
    heard_ms: float,
    *,
    came: str | None = None,
) -> str:
    """The beginning of `text` that was heard, in whole words.

    `came`: of speech that is not complete, all words that came, of which `text` is the beginning.
    """
    heard = _spread(text, spans, audio_ms, heard_ms)
    if came is None or not heard or all(span.end_ms is not None for span in spans):
        return heard
    room = _room(came, _batches(spans), min(heard_ms, audio_ms))
    return heard if room >= len(heard) else _whole_words(text, room)


def _spread(text: str, spans: Sequence[Span], audio_ms: float, heard_ms: float) -> str:
    """Where all of the text is in the audio."""
    if not text or heard_ms <= 0 or audio_ms <= 0:
        return ""
    if heard_ms >= audio_ms > 0:
        heard_ms = audio_ms
        if all(s.end_ms is None or s.end_ms <= audio_ms for s in spans):
            return text
    length = 0
    spans = _batches(spans)
    for i, span in enumerate(spans):
        if span.start_ms >= heard_ms:
            break
        stop = spans[i + 1].offset if i + 1 < len(spans) else len(text)
        end = span.end_ms
        if end is None:
            end = _next_start(spans, i, audio_ms)
        share = 1.0 if heard_ms >= end else (heard_ms - span.start_ms) / (end - span.start_ms)
        length = span.offset + int((stop - span.offset) * share)
        if share < 1.0:
            break
    if any(span.end_ms is None for span in spans) and audio_ms > 0:
        length = min(length, int(len(text) * min(1.0, heard_ms / audio_ms)))
    return _whole_words(text, length)


def _room(text: str, batches: Sequence[Span], ms: float) -> int:
    """How many characters the first `ms` of the audio can hold at most."""
    known, known_ms = 0, 0.0  # up to where the provider has told it
    for i, span in enumerate(batches):
        if span.end_ms is None:
            break
        known = batches[i + 1].offset if i + 1 < len(batches) else len(text)
        known_ms = span.end_ms
    letters = _rate(text, batches) * (ms - known_ms)
    for place in range(known, len(text)):
        letters -= _letters(text[place])
        if letters < 0:
            return place
    return len(text)


def _rate(text: str, batches: Sequence[Span]) -> float:
    """Letters in a millisecond of speech, at most."""
    fastest = FASTEST / 1000
    if len(batches) < 3 or batches[0].start_ms > 0 or any(b.end_ms is not None for b in batches):
        return fastest
    first, last = batches[1], batches[-1]
    ms = last.start_ms - first.start_ms
    if ms < _RATE_FROM_MS:
        return fastest
    return min(fastest, sum(map(_letters, text[first.offset : last.offset])) / ms)


def _letters(char: str) -> float:
    return _SIGN if _is_sign(char) else 1.0


def _batches(spans: Sequence[Span]) -> list[Span]:
    """Words that came in a row, without any audio between them, share the audio that follows the last of them."""
    batches: list[Span] = []
    for span in spans:
        last = batches[-1] if batches else None
        if (
            last is None
            or last.end_ms is not None
            or span.end_ms is not None
            or span.start_ms > last.start_ms
        ):
            batches.append(span)
    return batches


def _next_start(spans: Sequence[Span], i: int, audio_ms: float) -> float:
    for later in spans[i + 1 :]:
        if later.start_ms > spans[i].start_ms:
            return later.start_ms
    return max(audio_ms, spans[i].start_ms)


def _whole_words(text: str, length: int) -> str:
    if length >= len(text):
        return text
    if length <= 0:
        return ""
    cut = length
    while cut > 0 and not _ends_word(text, cut):
        cut -= 1
    return text[:cut]


def _ends_word(text: str, at: int) -> bool:
    # Chinese and Japanese are written without spaces: each sign is a word here.
    return text[at].isspace() or text[at - 1].isspace() or _is_sign(text[at - 1])


def _is_sign(char: str) -> bool:
    return (
        "\u2e80" <= char <= "\u9fff"
        or "\uf900" <= char <= "\ufaff"
        or "\U00020000" <= char <= "\U0003ffff"
    )
