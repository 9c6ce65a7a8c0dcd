"""Options of Google's recogniser."""

from __future__ import annotations

from typing import Any

import pytest

from voxengine.errors import ConfigurationError
from voxengine.providers.cascade.registry import create_part
from voxengine.providers.google_stt.shape import settings_of


def test_options_are_checked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    with pytest.raises(ConfigurationError, match="needs a project"):
        settings_of("chirp_3", {})
    wrong: list[dict[str, Any]] = [
        {"parrot": 1},
        {"endpointing": "fast"},
        {"languages": "en"},
        {"boost": -1},
        {"timeout_s": "soon"},
        {"endpoint": "ftp://there"},
    ]
    for options in wrong:
        with pytest.raises(ConfigurationError):
            settings_of("", {"project": "p", **options})
    assert settings_of("", {"project": "p"}).endpoint == "us-speech.googleapis.com"
    assert settings_of("", {"project": "p", "location": "global"}).endpoint.startswith("speech.")
    recognizer = "projects/p/locations/global/recognizers/mine"
    assert settings_of("", {"recognizer": recognizer}).path == recognizer


def test_it_is_found_by_name():
    part = create_part("stt", "google/chirp_2", {"project": "p"})
    assert (part.name, part.settings.model) == ("google", "chirp_2")
    assert (part.detects_turns, part.takes_vocabulary, part.sample_rate) == (False, True, 16000)
