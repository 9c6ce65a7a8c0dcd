"""Files that come with the package: recordings for the demo."""

from __future__ import annotations

from pathlib import Path

__all__ = ["SPEECH", "speech_path"]

#: The folder of the recordings. Their origin and licences are in its SOURCES.md.
SPEECH = Path(__file__).parent / "speech"


def speech_path(name: str) -> Path:
    """The recording of that name, with or without ".wav".

    Raises:
        FileNotFoundError: there is none of that name; the message lists those there are.
    """
    path = SPEECH / (name if name.endswith(".wav") else f"{name}.wav")
    if not path.is_file():
        have = ", ".join(sorted(p.stem for p in SPEECH.glob("*.wav")))
        raise FileNotFoundError(f"there is no recording {name!r}; there are: {have}")
    return path
