"""The recordings, what is said in them, and when it ends."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voxengine.audio import AudioFormat, load_speech
from voxengine.data import SPEECH

_TESTS = Path(__file__).parent.parent / "tests" / "data" / "speech"
FORMAT = AudioFormat(sample_rate=16000)

_NUMBERS = {"10": "ten", "mr": "mister"}


@dataclass(frozen=True)
class Recording:
    """One recording as pcm16 at 16 kHz. `ends_ms`: the acoustic end of its speech."""

    name: str
    audio: bytes
    text: str
    ends_ms: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.audio) / FORMAT.bytes_per_second


def recordings() -> list[Recording]:
    """All four."""
    transcripts: dict[str, str] = json.loads(
        (_TESTS / "transcripts.json").read_text(encoding="utf-8")
    )
    found = []
    for file, text in transcripts.items():
        path = SPEECH / file if (SPEECH / file).is_file() else _TESTS / file
        audio = load_speech(path, FORMAT)
        found.append(Recording(path.stem, audio, text, _end_of_speech_ms(audio)))
    return found


def _end_of_speech_ms(audio: bytes) -> float:
    """The end of the last 10 ms whose level is within 20 dB of the loud parts (the 99th percentile).

    What is weaker is the room, or the last breath of a word. An early end makes the wait longer, not shorter.
    """
    samples = np.frombuffer(audio, "<i2").astype(np.float64)
    frame = FORMAT.sample_rate // 100
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    level = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-9)
    loud = np.percentile(level, 99)
    return float((np.nonzero(level > loud - 20)[0][-1] + 1) * 10)


def words(text: str) -> list[str]:
    """Lower case, no punctuation, numbers and titles as they are spoken."""
    return [_NUMBERS.get(w, w) for w in re.sub(r"[^a-z0-9' ]+", " ", text.lower()).split()]


def errors(reference: str, heard: str) -> tuple[int, int]:
    """Word errors (Levenshtein) and the number of words of the reference."""
    a, b = words(reference), words(heard)
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1], len(a)
