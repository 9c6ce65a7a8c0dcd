"""English numbers in words, read and written."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["format_number", "in_words", "read_number"]

_SMALL_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
)
_SMALL = _SMALL_WORDS.split()
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_UNITS: dict[str, int] = {w: i for i, w in enumerate(_SMALL)} | {
    w: 20 + 10 * i for i, w in enumerate(_TENS)
}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_LARGEST = 1_000_000_000


def read_number(words: Sequence[str]) -> tuple[int | float, int] | None:
    """The number that the lower-case words begin with, and how many words it takes; None if they begin with none.

    Understands "ten", "twenty five", "a hundred and one", "2 thousand", "two point five", "one and a half" and
    "minus six". "five five" is two numbers, and so is "twenty ten".
    """
    if words and words[0] == "minus":
        found = read_number(words[1:])
        return (-found[0], found[1] + 1) if found and found[0] >= 0 else None
    value, used = _whole(words)
    if not used:
        return None
    if words[used : used + 3] == ["and", "a", "half"]:
        return value + 0.5, used + 3
    return _with_decimals(value, used, words)


def _whole(words: Sequence[str]) -> tuple[int | float, int]:
    total: int | float = 0
    group: int | float = 0
    used = i = 0
    room = _LARGEST
    while i < len(words):
        word = words[i]
        if word == "and" and used and words[used - 1] in _SCALES:
            i += 1
            continue
        if word == "a" and i == 0 and len(words) > 1 and words[1] in _SCALES:
            group, room = 1, 1
        elif (small := _small(word)) is not None and small < room and (small or not used):
            group += small
            # After "twenty" only one to nine fits, after "five" nothing but a scale, after "zero" nothing at all.
            room = 10 if word in _TENS else 1
        elif word in _SCALES and used and group:
            scale = _SCALES[word]
            group, total = (group * 100, total) if scale == 100 else (0, total + group * scale)
            room = scale
        else:
            break
        i += 1
        used = i
    return total + group, used


def _small(word: str) -> int | float | None:
    if word in _UNITS:
        return _UNITS[word]
    return _digits(word)


def _digits(word: str) -> int | float | None:
    if not word.replace(".", "", 1).isascii() or not word.replace(".", "", 1).isdigit():
        return None
    return float(word) if "." in word else int(word)


def _with_decimals(value: int | float, used: int, words: Sequence[str]) -> tuple[int | float, int]:
    if used >= len(words) or words[used] != "point" or isinstance(value, float):
        return value, used
    digits = ""
    end = used + 1
    while (
        end < len(words)
        and (d := _small(words[end])) is not None
        and 0 <= d <= 9
        and isinstance(d, int)
    ):
        digits += str(d)
        end += 1
    return (float(f"{value}.{digits}"), end) if digits else (value, used)


def format_number(value: int | float) -> str:
    """The number in digits, without a needless ".0"."""
    return str(int(value)) if value == int(value) else repr(value)


def in_words(value: int | float) -> str:
    """The number in words ("minus twenty-five", "two point five"); in digits from a thousand million on."""
    if value < 0:
        return f"minus {in_words(-value)}"
    if value >= _LARGEST:
        return format_number(value)
    if value != int(value):
        whole, _, decimals = repr(float(value)).partition(".")
        if not decimals.isdigit():
            return repr(value)
        return f"{in_words(int(whole))} point {' '.join(_SMALL[int(d)] for d in decimals)}"
    return _whole_in_words(int(value))


def _whole_in_words(n: int) -> str:
    if n < 20:
        return _SMALL[n]
    if n < 100:
        tens, rest = divmod(n, 10)
        return _TENS[tens - 2] + (f"-{_SMALL[rest]}" if rest else "")
    for name in ("million", "thousand", "hundred"):
        count, rest = divmod(n, _SCALES[name])
        if count:
            tail = f" {'and ' if rest < 100 else ''}{_whole_in_words(rest)}" if rest else ""
            return f"{_whole_in_words(count)} {name}{tail}"
    raise AssertionError(n)
