"""Speech-like audio whose words can be read back exactly.

Tests of cutting, switching and dropping audio need to know which words a listener heard. With real
speech that is an estimate. Here a word is a short, harmonic, syllable-shaped sound that carries its
own text, so that it is a fact: what `understand` returns are the words that are completely there,
and nothing else is.

How a word sounds
    A fundamental of 100 Hz with its first harmonics is always on: the voice. Time goes in symbols
    of 20 ms. In each, one of four harmonics in each of four bands between 400 and 2800 Hz is on, as
    formants are: 4 x 2 bits, one byte. All partials are whole numbers of periods per symbol, so
    they are orthogonal and the wave has no jumps. A word is: one start symbol (two tones that no
    byte uses), its length, its UTF-8 bytes, and a CRC-8 of both. A word of more than 64 bytes goes
    on in another of these; two bits of the length say so. After that there is silence up to the end
    of the word's time, at least 40 ms.

It survives G.711 at 8 kHz, changes of rate and level, silence of any length around it, and noise 10
dB below it. A word is there if no more than 2 ms of it are missing, at its end or anywhere else.

A voice activity detector that goes by energy takes it for speech. Silero's model does not (its
probability passes 0.5 in a tenth of the frames): use recordings of people where that is tested.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from voxengine.audio.formats import AudioFormat
from voxengine.audio.resample import Converter
from voxengine.errors import ConfigurationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "MS_PER_WORD",
    "SpokenWord",
    "duration_ms",
    "speak",
    "timeline",
    "understand",
    "understand_words",
]

#: How long a word lasts with the pause after it, if its letters do not need more: 171 words a
#: minute.
MS_PER_WORD = 350.0

SYMBOL_MS = 20
PAUSE_MS = 40
#: Bytes of text in one frame.
FRAME_BYTES = 64
#: Bits of the length: the word goes on in the next frame; this frame goes on with a word.
MORE, CONTINUED = 0x80, 0x40
#: What the receiver listens at. All tones lie far below 4 kHz.
RATE = 8000
SYMBOL = RATE * SYMBOL_MS // 1000

VOICE = (100, 200, 300)
BANDS = (
    (400, 500, 600, 700),
    (1000, 1100, 1200, 1300),
    (1700, 1800, 1900, 2000),
    (2500, 2600, 2700, 2800),
)
#: Amplitudes of the bands. They fall with frequency, as a voice's formants do.
BAND_LEVELS = (0.17, 0.12, 0.09, 0.07)
VOICE_LEVELS = (0.10, 0.08, 0.06)
START = (1500, 2300)
START_LEVEL = 0.13

_UNDERSTOOD = AudioFormat("pcm16", RATE)


class SpokenWord(NamedTuple):
    """A word, and where it sounds: from the first sample of its start symbol to the last of its check symbol."""

    word: str
    start_ms: float
    end_ms: float


def speak(text: str, format: AudioFormat, *, ms_per_word: float = MS_PER_WORD) -> bytes:
    """Say the words of `text`, each in `ms_per_word` (or as many more milliseconds as it needs).

    Words are what white space separates. The same text always gives the same bytes; no words, no
    bytes.

    Raises:
        ConfigurationError: `ms_per_word` is negative.
    """
    import numpy as np

    slots = _slots(text, ms_per_word)
    if not slots:
        return b""
    # Each symbol has to be a whole number of samples. At other rates it is said at 16 kHz, and
    # converted.
    exact = format.sample_rate * SYMBOL_MS % 1000 == 0
    rate = format.sample_rate if exact else 16000
    samples = np.zeros(round(slots[-1].end_ms * rate / 1000), np.int16)
    for word, slot in zip(text.split(), slots, strict=True):
        sound = _sound(word, rate)
        start = round(slot.start_ms * rate / 1000)
        samples[start : start + len(sound)] = sound
    converter = Converter(AudioFormat(sample_rate=rate), format)
    return converter.process(samples.tobytes()) + converter.flush()


def duration_ms(text: str, *, ms_per_word: float = MS_PER_WORD) -> float:
    """How long `speak` takes to say `text`, the pause after the last word included."""
    slots = _slots(text, ms_per_word)
    return slots[-1].end_ms if slots else 0.0


def timeline(text: str, *, ms_per_word: float = MS_PER_WORD) -> list[SpokenWord]:
    """At which milliseconds `speak` says each word. Audio cut at `end_ms` holds the word; cut 3 ms before, not."""
    return [
        SpokenWord(slot.word, slot.start_ms, slot.start_ms + _word_ms(slot.word))
        for slot in _slots(text, ms_per_word)
    ]


def understand(audio: bytes, format: AudioFormat) -> str:
    """The words that are completely in `audio`, separated by single spaces.

    Raises:
        AudioError: `audio` is not audio of this format.
    """
    return " ".join(word for word, _, _ in understand_words(audio, format))


def understand_words(audio: bytes, format: AudioFormat) -> list[SpokenWord]:
    """The words that are completely in `audio`, and where. Times are exact to about half a millisecond.

    Raises:
        AudioError: `audio` is not audio of this format.
    """
    from voxengine.audio.signal_reader import read_words

    converter = Converter(format, _UNDERSTOOD)
    step = format.bytes_per_second * 10
    parts = [converter.process(audio[i : i + step]) for i in range(0, len(audio), step)]
    return read_words(b"".join(parts) + converter.flush())


def _slots(text: str, ms_per_word: float) -> list[SpokenWord]:
    """The time that each word takes, its pause included."""
    if ms_per_word < 0:
        raise ConfigurationError(f"a word does not take {ms_per_word} ms")
    at = 0.0
    slots = []
    for word in text.split():
        end = at + max(ms_per_word, _word_ms(word) + PAUSE_MS)
        slots.append(SpokenWord(word, at, end))
        at = end
    return slots


def _word_ms(word: str) -> float:
    return len(_symbols(word)) * SYMBOL_MS


def crc8(data: bytes) -> int:
    """CRC-8 with the polynomial x^8 + x^2 + x + 1 (CRC-8/SMBUS)."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1) ^ 0x107 if crc & 0x80 else crc << 1
    return crc


@lru_cache(maxsize=1024)
def _symbols(word: str) -> tuple[int, ...]:
    """The symbols of a word: bytes, and 256 for the start."""
    # What cannot be UTF-8 (a lone surrogate) is said as a question mark.
    data = word.encode("utf-8", "replace")
    symbols: list[int] = []
    for i in range(0, len(data), FRAME_BYTES):
        part = data[i : i + FRAME_BYTES]
        more = MORE if i + FRAME_BYTES < len(data) else 0
        frame = bytes([len(part) - 1 | more | (CONTINUED if i else 0)]) + part
        symbols += [256, *frame, crc8(frame)]
    return tuple(symbols)


@cache
def _alphabet(rate: int) -> NDArray[np.float32]:
    """The wave of every symbol: float32 [257, samples], the last one the start symbol."""
    import numpy as np

    n = rate * SYMBOL_MS // 1000
    time = np.arange(n) / rate

    def tones(frequencies: Any, levels: Any) -> NDArray[Any]:
        return np.asarray(levels)[:, None] * np.sin(
            2 * np.pi * np.asarray(frequencies)[:, None] * time
        )

    voice = tones(VOICE, VOICE_LEVELS).sum(axis=0)
    byte = np.arange(256)
    wave = np.repeat(voice[None, :], 257, axis=0)
    for i, (band, level) in enumerate(zip(BANDS, BAND_LEVELS, strict=True)):
        wave[:256] += tones(band, [level] * 4)[(byte >> (2 * i)) & 3]
    wave[256] += tones(START, [START_LEVEL] * 2).sum(axis=0)
    return wave.astype(np.float32)


@lru_cache(maxsize=1024)
def _sound(word: str, rate: int) -> NDArray[np.int16]:
    """A word without its pause, int16 [n] at `rate` (a whole number of samples per symbol)."""
    import numpy as np

    wave = _alphabet(rate)[list(_symbols(word))]
    n_symbols, n = wave.shape
    # The loudness of syllables: up and down about five times a second, never so low that a symbol
    # could get lost.
    time = np.arange(n_symbols * n, dtype=np.float32) / rate
    loudness = 0.8 + 0.2 * np.cos(2 * np.pi * 5 * (time - 0.08))
    return np.asarray(np.rint(wave.ravel() * loudness * 32767), dtype=np.int16)
