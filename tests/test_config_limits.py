"""The settings of limits, of prices, and of what is said without a provider."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from voxengine import ConfigurationError, VoiceEngineConfig
from voxengine.audio import AudioFormat, Sentence, write_wav
from voxengine.audio.sentence import SHIPPED

PRICES = {"house/*": {"input_audio_seconds": 0.06}}


@pytest.fixture
def wav(tmp_path: Path) -> str:
    path = tmp_path / "hold.wav"
    write_wav(path, bytes(3200), AudioFormat(sample_rate=16000))
    return str(path)


def test_by_default_there_is_no_limit_and_the_sentences_are_those_of_the_package() -> None:
    config = VoiceEngineConfig()
    assert (config.max_cost, config.max_duration, config.economy) == (None, None, None)
    assert config.warn_at == (0.8,)
    assert (config.apology, config.goodbye) == (SHIPPED["apology"], SHIPPED["goodbye"])
    assert "apology" not in repr(config)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("max_cost", 0, "above 0"),
        ("max_cost", "1", "US dollars"),
        ("max_cost", float("nan"), "US dollars"),
        ("max_cost", float("inf"), "US dollars"),
        ("max_duration", -1, "seconds"),
        ("max_duration", True, "seconds"),
        ("warn_at", 0.8, "list of parts"),
        ("warn_at", [1.0], "between 0 and 1"),
        ("warn_at", ["half"], "between 0 and 1"),
        ("economy", 3, "economy"),
        ("economy", "", "economy"),
        ("economy", {"model": "small"}, "names its provider"),
        ("economy", {"provider": "local", "vioce": "x"}, "did you mean 'voice'"),
        ("prices", [1], "dict by model"),
        ("prices", {"house": 1.0}, "dict by what is counted"),
        ("prices", {"house": {}}, "dict by what is counted"),
        ("prices", {"house": {"tokens": 1.0}}, "'tokens' is not counted; known are .*characters"),
        ("prices", {"house": {"characters": -1.0}}, "number of US dollars"),
        ("prices", {"house": {"characters": "1"}}, "number of US dollars"),
        ("apology", "/no/such.wav", "No such file"),
        ("goodbye", {"audio": "/no/such.wav"}, "No such file"),
        ("goodbye", 7, "path of a WAV file"),
    ],
)
def test_what_is_not_allowed(name: str, value: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as raised:
        VoiceEngineConfig(**{name: value})
    assert name in str(raised.value)


def test_parts_are_put_in_order() -> None:
    assert VoiceEngineConfig(warn_at=(0.9, 0.5, 0.9)).warn_at == (0.5, 0.9)
    assert VoiceEngineConfig(warn_at=()).warn_at == ()


def test_none_says_nothing_however_the_configuration_is_made() -> None:
    assert VoiceEngineConfig(apology=None).apology is None
    assert VoiceEngineConfig.load(apology=None, goodbye=None, env={}).goodbye is None
    config = VoiceEngineConfig.load(apology=None, env={})
    assert config.with_changes(voice="alto").apology is None
    assert config.for_provider("mock").apology is None


def test_from_a_file(tmp_path, wav) -> None:
    file = tmp_path / "voice.toml"
    file.write_text(
        f"""
[voxengine]
max_cost = 0.5
max_duration = 600
warn_at = [0.5, 0.9]
apology = false

[voxengine.economy]
provider = "local"
voice = "heart"

[voxengine.goodbye]
text = "bye"
audio = "{wav}"

[voxengine.prices."house/*"]
input_audio_seconds = 0.06
"""
    )
    config = VoiceEngineConfig.load(file, env={})
    assert (config.max_cost, config.max_duration, config.warn_at) == (0.5, 600, (0.5, 0.9))
    assert config.economy == {"provider": "local", "voice": "heart"}
    assert (config.apology, config.goodbye) == (None, Sentence("bye", wav))
    assert config.prices == PRICES


def test_from_the_environment(wav) -> None:
    config = VoiceEngineConfig.from_env(
        {
            "VOXENGINE_MAX_COST": "0.5",
            "VOXENGINE_MAX_DURATION": "600",
            "VOXENGINE_WARN_AT": "0.5, 0.9",
            "VOXENGINE_ECONOMY": '{provider = "local", voice = "heart"}',
            "VOXENGINE_PRICES": '{"house/*" = {input_audio_seconds = 0.06}}',
            "VOXENGINE_APOLOGY": "none",
            "VOXENGINE_GOODBYE": f'{{text = "bye", audio = "{wav}"}}',
        }
    )
    assert (config.max_cost, config.max_duration, config.warn_at) == (0.5, 600.0, (0.5, 0.9))
    assert config.economy == {"provider": "local", "voice": "heart"}
    assert config.prices == PRICES
    assert (config.apology, config.goodbye) == (None, Sentence("bye", wav))
    plain = VoiceEngineConfig.from_env({"VOXENGINE_ECONOMY": "local", "VOXENGINE_APOLOGY": wav})
    assert (plain.economy, plain.apology) == ("local", Sentence(audio=wav))
    with pytest.raises(ConfigurationError, match="VOXENGINE_WARN_AT"):
        VoiceEngineConfig.from_env({"VOXENGINE_WARN_AT": "soon"})


def test_keys_are_not_shown_and_prices_are() -> None:
    config = VoiceEngineConfig(
        economy={"provider": "openai", "api_key": "sk-secret"},
        prices={"house": {"output_audio_tokens": 64.0}},
    )
    assert "sk-secret" not in repr(config)
    assert "64.0" in repr(config)
