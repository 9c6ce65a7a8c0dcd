"""The receiver of `voxengine.audio.signal`: finds start symbols, and reads the symbols after each."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from voxengine.audio.signal import (
    BANDS,
    CONTINUED,
    MORE,
    RATE,
    START,
    SYMBOL,
    VOICE,
    SpokenWord,
    crc8,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["read_words"]

#: Step of the search for start symbols: a tenth of a symbol.
_HOP = SYMBOL // 10
#: Start symbols are searched for in so many stretches at a time; bounds the memory that long audio
#: takes.
_ROWS = 1000
#: The part of a stretch's energy that the start tones must hold to be looked at (it is 0.63 when
#: exactly in place).
_CANDIDATE = 0.3
#: The part of a symbol's energy that its own tones must hold. A symbol of which the part f is
#: missing has 1 - f.
_WHOLE = 0.9
#: At the end of all audio, where nothing follows, the same: a tenth of a symbol may be missing.
_MISSING = SYMBOL // 10
#: Quieter than this (mean square, full scale being 1) is silence: the noise floor of 8-bit audio.
_FLOOR = 1e-6
#: The tones of a symbol: the voice's, those of a start, and those of the bands.
_ALL = (*VOICE, *START, *(tone for band in BANDS for tone in band))
_FORMANTS = sum(map(len, BANDS))
#: Each band says two bits.
_SHIFTS = 2 * np.arange(len(BANDS))


class _Frame(NamedTuple):
    text: bytes
    start: int
    end: int
    more: bool
    continued: bool


def read_words(pcm16: bytes) -> list[SpokenWord]:
    """The words in pcm16 mono audio at 8 kHz, in order."""
    heard = np.frombuffer(pcm16, "<i2")
    x = np.zeros(len(heard) + _MISSING, np.float32)
    x[: len(heard)] = heard
    x /= 32768
    words: list[SpokenWord] = []
    parts: list[_Frame] = []
    for start in _starts(x):
        frame = _frame(x, start)
        if frame is None:
            continue
        # A frame goes on with a word only where the frame before it ended; anything else is a word
        # with a hole.
        fits = bool(parts) and parts[-1].more and abs(frame.start - parts[-1].end) <= _HOP
        if frame.continued and not fits:
            parts = []
            continue
        parts = [*parts, frame] if frame.continued else [frame]
        if not frame.more:
            text = b"".join(p.text for p in parts).decode("utf-8", "replace")
            words.append(SpokenWord(text, parts[0].start * 1000 / RATE, frame.end * 1000 / RATE))
    return words


@cache
def _tones(frequencies: tuple[int, ...]) -> NDArray[np.complex64]:
    time = np.arange(SYMBOL) / RATE
    return np.asarray(np.exp(-2j * np.pi * np.outer(time, frequencies)), dtype=np.complex64)


def _power(rows: NDArray[Any], frequencies: tuple[int, ...]) -> NDArray[Any]:
    """What each tone adds to the mean square of each row: [rows, tones]."""
    found = rows @ _tones(frequencies)
    return np.asarray((found.real**2 + found.imag**2) * (2 / SYMBOL**2))


def _energy(rows: NDArray[Any]) -> NDArray[Any]:
    """The mean square of each row."""
    return np.asarray(np.einsum("ij,ij->i", rows, rows) / SYMBOL)


def _starts(x: NDArray[np.float32]) -> Iterator[int]:
    """Samples at which start symbols begin."""
    if len(x) < SYMBOL:
        return
    rows = np.lib.stride_tricks.sliding_window_view(x, SYMBOL)[::_HOP]
    best, best_power = -1, 0.0
    for first in range(0, len(rows), _ROWS):
        block = rows[first : first + _ROWS]
        energy = _energy(block)
        likely = np.flatnonzero(energy > _FLOOR)
        if not len(likely):
            continue
        power = _power(np.ascontiguousarray(block[likely]), START).sum(axis=1)
        for i in np.flatnonzero(power > _CANDIDATE * energy[likely]):
            at = (first + int(likely[i])) * _HOP
            # Neighbours within a symbol belong to one start; the strongest of them is nearest to
            # it.
            if best >= 0 and at - best > SYMBOL:
                yield _refine(x, best)
                best, best_power = -1, 0.0
            if power[i] > best_power:
                best, best_power = at, float(power[i])
    if best >= 0:
        yield _refine(x, best)


def _refine(x: NDArray[np.float32], at: int) -> int:
    """The sample near `at` from which the start tones are strongest."""
    first = max(0, at - _HOP)
    near = np.lib.stride_tricks.sliding_window_view(x[first : at + _HOP + SYMBOL], SYMBOL)
    return first + int(_power(near, START).sum(axis=1).argmax())


def _frame(x: NDArray[np.float32], start: int) -> _Frame | None:
    """The frame that begins at sample `start`; None if it is not whole."""
    head = _read(x, start, 2)
    if head is None:
        return None
    length = (head[1] & 0x3F) + 1
    body = _read(x, start + 2 * SYMBOL, length + 1)
    if body is None or max(head[1], *body) > 0xFF or crc8(bytes(head[1:] + body[:-1])) != body[-1]:
        return None
    more, continued = bool(head[1] & MORE), bool(head[1] & CONTINUED)
    return _Frame(bytes(body[:-1]), start, start + (length + 3) * SYMBOL, more, continued)


def _read(x: NDArray[np.float32], start: int, n: int) -> list[int] | None:
    """Read n symbols, 256 being the start symbol; None if one of them is not there, or not whole."""
    end = start + n * SYMBOL
    if end > len(x):
        return None
    rows = x[start:end].reshape(n, SYMBOL)
    energy = _energy(rows)
    # Of all tones at once: one look costs as much as another, however many they are.
    power = _power(rows, _ALL)
    voice = power[:, : len(VOICE)].sum(axis=1)
    opening = power[:, len(VOICE) : -_FORMANTS].sum(axis=1)
    bands = power[:, -_FORMANTS:].reshape(n, len(BANDS), -1)
    symbols = (bands.argmax(axis=2) << _SHIFTS).sum(axis=1)
    formants = bands.max(axis=2).sum(axis=1)
    symbols[opening > formants] = 256
    own = voice + np.maximum(opening, formants)
    if (energy < _FLOOR).any() or (own < _WHOLE * energy).any():
        return None
    found: list[int] = symbols.tolist()
    return found
