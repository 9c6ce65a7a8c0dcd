from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from voxengine.data import SPEECH

ONLY_TESTS = Path(__file__).parents[1] / "data" / "speech"


@pytest.fixture(scope="session")
def recording() -> Callable[[str], Path]:
    """The path of a recording, be it one of the package's or one of the tests'."""

    def find(name: str) -> Path:
        return next(p for p in (SPEECH / f"{name}.wav", ONLY_TESTS / f"{name}.wav") if p.is_file())

    return find


@pytest.fixture(scope="session")
def transcripts() -> dict[str, str]:
    words: dict[str, str] = json.loads((ONLY_TESTS / "transcripts.json").read_text())
    return words
