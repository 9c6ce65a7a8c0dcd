"""Options become a configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from voxengine.cli.exits import InputProblem
from voxengine.cli.options import load_config, output_folder
from voxengine.errors import ConfigurationError, UnknownProviderError


def test_options_win_over_settings_over_file(tmp_path: Path) -> None:
    file = tmp_path / "voxengine.toml"
    file.write_text(
        'provider = "mock"\nvoice = "file"\nmode = "fast"\ninstructions = "file"\n[metadata]\nchunk_ms = 50\nseed = 1\n'
    )
    config = load_config(config=file, settings=["voice=set", "mode=big", "seed=2"], voice="option")
    assert (config.provider, config.voice, config.mode, config.instructions) == (
        "mock",
        "option",
        "big",
        "file",
    )
    assert config.metadata == {"chunk_ms": 50, "seed": 2}


@pytest.mark.parametrize(
    ("pair", "metadata"),
    [
        ("a=1", {"a": 1}),
        ("a=0.5", {"a": 0.5}),
        ("a=true", {"a": True}),
        ("a=hello there", {"a": "hello there"}),
        ('a="1"', {"a": "1"}),
        ("a=", {"a": ""}),
        ("a=[1, 2]", {"a": [1, 2]}),
        ("a.b.c=1", {"a": {"b": {"c": 1}}}),
        ("metadata.a=1", {"a": 1}),
        ("a=x=y", {"a": "x=y"}),
    ],
)
def test_values_read_as_they_look(pair: str, metadata: dict[str, object]) -> None:
    assert load_config(provider="mock", settings=[pair]).metadata == metadata


def test_settings_of_the_engine() -> None:
    config = load_config(provider="mock", settings=["temperature=0.5", "input_format=pcm16@16000"])
    assert config.temperature == 0.5
    assert config.input_format.sample_rate == 16000
    assert config.metadata == {}


def test_models_get_the_time_to_load() -> None:
    assert load_config(provider="mock").connect_timeout > 10
    assert load_config(provider="mock", settings=["connect_timeout=3"]).connect_timeout == 3


@pytest.mark.parametrize("pair", ["", "=1", "novalue"])
def test_no_pair(pair: str) -> None:
    with pytest.raises(InputProblem, match="KEY=VALUE"):
        load_config(provider="mock", settings=[pair])


def test_a_value_and_a_table() -> None:
    with pytest.raises(InputProblem, match="was given a value before"):
        load_config(provider="mock", settings=["a=1", "a.b=2"])


def test_refused() -> None:
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        load_config(provider="mock", settings=["api_key=x"])
    with pytest.raises(UnknownProviderError):
        load_config(provider="nope")


def test_output_folder(tmp_path: Path) -> None:
    assert output_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputProblem, match="cannot be made"):
        output_folder(tmp_path / "file" / "below")
