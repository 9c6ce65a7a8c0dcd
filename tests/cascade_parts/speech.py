"""The recordings, and how transcripts are compared with what was said."""

from __future__ import annotations

import json
import re
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_TESTS = Path(__file__).parents[1]
_FOLDERS = (_TESTS / "data" / "speech", _TESTS.parent / "src" / "voxengine" / "data" / "speech")
#: Spellings that mean the same.
_SAME = {"mr": "mister", "10": "ten", "5": "five"}


def folder_of(name: str) -> Path:
    for folder in _FOLDERS:
        if (folder / name).is_file():
            return folder
    raise FileNotFoundError(f"{name} is in none of {', '.join(map(str, _FOLDERS))}")


def recording(name: str) -> NDArray[np.float32]:
    """A recording at 16 kHz, by its name without .wav."""
    with wave.open(str(folder_of(f"{name}.wav") / f"{name}.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
        data = file.readframes(file.getnframes())
    return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)


def transcript(name: str) -> str:
    """What is said in a recording."""
    texts: dict[str, str] = json.loads(
        (folder_of("transcripts.json") / "transcripts.json").read_text()
    )
    return texts[f"{name}.wav"]


def words(text: str) -> list[str]:
    found = re.findall(r"[a-z0-9']+", text.lower().replace("-", " "))
    return [_SAME.get(word, word) for word in found]


def word_errors(said: str, heard: str) -> int:
    """Words to change, add or drop (Levenshtein) to get from one to the other."""
    a, b = words(said), words(heard)
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]


def word_error_rate(pairs: list[tuple[str, str]]) -> float:
    """Errors per word said, over all (said, heard)."""
    return sum(word_errors(*pair) for pair in pairs) / sum(len(words(said)) for said, _ in pairs)
