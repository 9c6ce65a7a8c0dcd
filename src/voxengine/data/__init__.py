"""Files that come with the package: recordings for the demo, and sentences that need no provider."""

from __future__ import annotations

from pathlib import Path

__all__ = ["SENTENCES", "SPEECH", "sentence_path", "speech_path"]

#: The folder of the recordings. Their origin and licences are in its SOURCES.md.
SPEECH = Path(__file__).parent / "speech"

#: What a session says by itself, by name; the recordings are made by `tools/render_sentences.py`.
SENTENCES = {
    "apology": (
        "I am sorry, we have a technical problem. Please hold the line or call again later."
    ),
    "goodbye": "I am sorry, our time is up. Thank you for calling. Goodbye.",
}


def sentence_path(name: str) -> Path:
    """The recording of one of `SENTENCES`: 16 kHz mono pcm16."""
    return Path(__file__).parent / "sentences" / f"{name}.wav"


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
