from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from voxengine.audio import AudioFormat
from voxengine.audio.signal import speak
from voxengine.cli import exits
from voxengine.cli.app import app

#: The mock as fast as it can be: what it says takes no longer than its symbols do.
QUICK = ("--provider", "mock", "--set", "ms_per_word=0", "--set", "silence_ms=200")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VOXENGINE_CONFIG", "VOXENGINE_DEBUG", "OPENAI_API_KEY", "MOCK_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(exits, "_kept", set())


@pytest.fixture
def run() -> Callable[..., Result]:
    """Run the command line in this process."""

    def call(
        *arguments: str, input: str | None = None, env: dict[str, str] | None = None
    ) -> Result:
        return CliRunner().invoke(app, list(arguments), input=input, env=env)

    return call


@pytest.fixture
def write_wav(tmp_path: Path) -> Callable[..., Path]:
    """Write a WAV file with Python's own writer."""

    def write(
        name: str, audio: bytes, *, rate: int = 16000, channels: int = 1, width: int = 2
    ) -> Path:
        path = tmp_path / name
        with wave.open(str(path), "wb") as file:
            file.setnchannels(channels)
            file.setsampwidth(width)
            file.setframerate(rate)
            file.writeframes(audio)
        return path

    return write


@pytest.fixture
def spoken(write_wav: Callable[..., Path]) -> Callable[[str], Path]:
    """A file in which the mock understands a text."""
    return lambda text: write_wav(
        f"{text.replace(' ', '_')}.wav", speak(text, AudioFormat(sample_rate=16000), ms_per_word=0)
    )
