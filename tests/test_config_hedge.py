"""The setting `hedge`: what it may be, and where it may come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from voxengine import ConfigurationError, VoiceEngineConfig


def test_there_is_none_by_default() -> None:
    assert VoiceEngineConfig().hedge is None


@pytest.mark.parametrize(
    "hedge", ["azure", "openai/gpt-realtime", {"provider": "mock", "voice": "x"}]
)
def test_what_it_may_be(hedge: Any) -> None:
    assert VoiceEngineConfig(hedge=hedge).hedge == hedge


@pytest.mark.parametrize(
    ("hedge", "words"),
    [
        (3, "hedge is a name"),
        ("", "hedge is a name"),
        ({"model": "small"}, "hedge that is a dict names its provider"),
        ({"provider": "local", "vioce": "x"}, "in hedge, 'vioce'"),
    ],
)
def test_what_it_may_not_be(hedge: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        VoiceEngineConfig(hedge=hedge)


def test_it_may_come_from_a_file_and_from_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "voice.toml"
    file.write_text('[voxengine]\nprovider = "mock"\n[voxengine.hedge]\nprovider = "local"\n')
    assert VoiceEngineConfig.load(file, env={}).hedge == {"provider": "local"}
    env = {"VOXENGINE_HEDGE": "azure"}
    assert VoiceEngineConfig.from_env(env).hedge == "azure"
    env = {"VOXENGINE_HEDGE": '{provider = "azure"}'}
    assert VoiceEngineConfig.from_env(env).hedge == {"provider": "azure"}


def test_its_key_is_not_shown() -> None:
    config = VoiceEngineConfig(hedge={"provider": "azure", "api_key": "sk-very-secret"})
    assert "sk-very-secret" not in repr(config)
