"""Where settings come from, what is allowed, and that a key is never shown."""

from __future__ import annotations

import copy
import json
import logging
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from voxengine import (
    AudioFormat,
    ConfigurationError,
    ProviderConfig,
    VoiceEngine,
    VoiceEngineConfig,
)
from voxengine.config import masked

KEY = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("VOXENGINE_") or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)


def toml(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "voxengine.toml"
    path.write_text(text, encoding="utf-8")
    return path


# -- where they come from


def test_the_defaults_need_nothing() -> None:
    config = VoiceEngineConfig.load(env={})
    assert config == VoiceEngineConfig()
    assert (config.provider, config.mode, config.api_key) == ("local", "big", None)
    assert config.input_format == AudioFormat("pcm16", 24000)


@pytest.mark.parametrize(
    ("arguments", "env", "file", "voice"),
    [
        ({}, {}, "", None),
        ({}, {}, "voice = 'file'", "file"),
        ({}, {"VOXENGINE_VOICE": "env"}, "voice = 'file'", "env"),
        ({"voice": "arg"}, {"VOXENGINE_VOICE": "env"}, "voice = 'file'", "arg"),
        ({"voice": "arg"}, {}, "voice = 'file'", "arg"),
        ({"voice": None}, {"VOXENGINE_VOICE": "env"}, "", "env"),
        ({}, {"VOXENGINE_VOICE": ""}, "voice = 'file'", "file"),
    ],
)
def test_arguments_before_environment_before_file(
    tmp_path: Path, arguments: dict[str, Any], env: dict[str, str], file: str, voice: str | None
) -> None:
    config = VoiceEngineConfig.load(toml(tmp_path, file), env=env, **arguments)
    assert config.voice == voice


def test_an_engine_made_with_settings_reads_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VOXENGINE_PROVIDER", "mock")
    monkeypatch.setenv("VOXENGINE_MODE", "fast")
    assert VoiceEngine().config.provider == "mock"
    assert VoiceEngine(mode="provider").config.mode == "provider"
    # A configuration that was made is used as it is.
    assert VoiceEngine(VoiceEngineConfig()).config.provider == "local"
    assert VoiceEngine(VoiceEngineConfig(), provider="mock").config.provider == "mock"


def test_every_setting_can_be_given_in_the_environment() -> None:
    env = {
        "VOXENGINE_PROVIDER": "mock",
        "VOXENGINE_API_KEY": KEY,
        "VOXENGINE_MODE": "provider",
        "VOXENGINE_MODEL": "m",
        "VOXENGINE_TEMPERATURE": "0.5",
        "VOXENGINE_MAX_RESPONSE_TOKENS": "100",
        "VOXENGINE_MODALITIES": "text, audio",
        "VOXENGINE_INPUT_FORMAT": "g711_ulaw",
        "VOXENGINE_OUTPUT_FORMAT": "pcm16@16000",
        "VOXENGINE_METADATA": '{endpoint = "wss://x", retries = 3}',
        "VOXENGINE_CONNECT_TIMEOUT": "2.5",
        "UNRELATED": "x",
    }
    config = VoiceEngineConfig.from_env(env)
    assert config == VoiceEngineConfig(
        provider="mock",
        api_key=KEY,
        mode="provider",
        model="m",
        temperature=0.5,
        max_response_tokens=100,
        modalities=["text", "audio"],
        input_format=AudioFormat("g711_ulaw", 8000),
        output_format=AudioFormat("pcm16", 16000),
        metadata={"endpoint": "wss://x", "retries": 3},
        connect_timeout=2.5,
    )


@pytest.mark.parametrize(
    "name", ["TEMPERATURE", "MAX_RESPONSE_TOKENS", "CONNECT_TIMEOUT", "METADATA", "INPUT_FORMAT"]
)
def test_what_cannot_be_read_names_its_variable(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"(?i){name}"):
        VoiceEngineConfig.from_env({f"VOXENGINE_{name}": "{nonsense"})


@pytest.mark.parametrize("header", ["", "[voxengine]\n"])
def test_a_file(tmp_path: Path, header: str) -> None:
    path = toml(
        tmp_path,
        header
        + """
        provider = "mock"
        temperature = 0.7
        modalities = ["text"]
        input_format = "pcm16@16000"
        output_format = { encoding = "g711_alaw", sample_rate = 8000 }
        metadata = { endpoint = "wss://x" }
        """,
    )
    for config in (VoiceEngineConfig.load(path, env={}), VoiceEngineConfig.load(str(path), env={})):
        assert config.provider == "mock"
        assert config.temperature == 0.7
        assert config.modalities == ["text"]
        assert config.input_format == AudioFormat("pcm16", 16000)
        assert config.output_format == AudioFormat("g711_alaw", 8000)
        assert config.metadata == {"endpoint": "wss://x"}


def test_the_environment_may_name_the_file(tmp_path: Path) -> None:
    path = toml(tmp_path, "voice = 'file'")
    assert VoiceEngineConfig.load(env={"VOXENGINE_CONFIG": str(path)}).voice == "file"


def test_from_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXENGINE_MODEL", "env")
    config = VoiceEngineConfig.from_file(toml(tmp_path, "voice = 'file'\nmodel = 'file'"))
    assert (config.voice, config.model) == ("file", "env")


def test_the_key_is_taken_from_the_variable_that_the_file_names(tmp_path: Path) -> None:
    path = toml(tmp_path, "api_key_env = 'MY_KEY'")
    assert VoiceEngineConfig.load(path, env={"MY_KEY": KEY}).api_key == KEY


def test_the_variable_that_the_file_names_has_to_be_set(tmp_path: Path) -> None:
    path = toml(tmp_path, "api_key_env = 'MY_KEY'")
    with pytest.raises(ConfigurationError, match="MY_KEY, which is not set"):
        VoiceEngineConfig.load(path, env={})


@pytest.mark.parametrize(
    ("arguments", "env"), [({"api_key": KEY}, {}), ({}, {"VOXENGINE_API_KEY": KEY})]
)
def test_it_need_not_be_set_if_the_key_is_given_otherwise(
    tmp_path: Path, arguments: dict[str, str], env: dict[str, str]
) -> None:
    path = toml(tmp_path, "api_key_env = 'MY_KEY'")
    assert VoiceEngineConfig.load(path, env=env, **arguments).api_key == KEY


@pytest.mark.parametrize(
    ("provider", "variable"),
    [("openai", "OPENAI_API_KEY"), ("azure-openai", "AZURE_OPENAI_API_KEY")],
)
def test_the_usual_variable_of_the_provider(provider: str, variable: str) -> None:
    env = {variable: KEY, "OTHER_API_KEY": "other"}
    assert VoiceEngineConfig.load(env=env, provider=provider).api_key == KEY
    assert VoiceEngineConfig.load(env=env, provider=provider, api_key="mine").api_key == "mine"
    assert VoiceEngineConfig.load(env=env, provider="mock").api_key is None


# -- what is not allowed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("voice = ", "not valid TOML"),
        ("voice = 1\nvoice = 2", "not valid TOML"),
        ("vioce = 'x'", "did you mean 'voice'"),
        ("mode = 'huge'", "fast, big, provider"),
        ("input_format = 'mp3'", "mp3"),
        ("[voxengine]\nzzzz = 1", "zzzz"),
        ("metadata = 'x'", "metadata"),
    ],
)
def test_a_file_that_will_not_do(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        VoiceEngineConfig.load(toml(tmp_path, text), env={})


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        VoiceEngineConfig.load(tmp_path / "none.toml", env={})
    with pytest.raises(ConfigurationError, match="cannot be read"):
        VoiceEngineConfig.load(tmp_path, env={})
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="not valid TOML"):
        VoiceEngineConfig.load(path, env={})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("mode", "turbo", "fast, big, provider"),
        ("provider", "", "registered provider"),
        ("provider", None, "registered provider"),
        ("connect_timeout", 0, "above 0"),
        ("connect_timeout", -1.0, "above 0"),
        ("connect_timeout", float("nan"), "above 0"),
        ("response_timeout", "10", "above 0"),
        ("stall_timeout", True, "above 0"),
        ("tool_timeout", None, "above 0"),
        ("output_latency_ms", -1.0, "output_latency_ms"),
        ("output_latency_ms", "x", "output_latency_ms"),
        ("reconnect_timeout", -1.0, "from 0 on"),
        ("reconnect_timeout", "10", "from 0 on"),
        ("rotation_margin", None, "from 0 on"),
        ("chunking", "fast", "latency, density"),
        ("modalities", ["video"], "'audio' and 'text', not video"),
        ("modalities", "text", "list"),
        ("modalities", [], "modalities"),
        ("input_format", "mp3", "mp3"),
        ("input_format", "pcm16@fast", "pcm16@fast"),
        ("input_format", 100, "4000 to 192000"),
        ("input_format", {"rate": 8000}, "input_format"),
        ("input_format", None, "AudioFormat"),
        ("output_format", AudioFormat(channels=2), "mono"),
        ("output_format", True, "AudioFormat"),
        ("metadata", "x", "metadata"),
        ("metadata", None, "metadata"),
        ("api_key", 5, "api_key"),
    ],
)
def test_values_that_will_not_do(name: str, value: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        VoiceEngineConfig(**{name: value})


def test_a_name_that_is_no_setting_is_answered_with_the_nearest() -> None:
    with pytest.raises(
        ConfigurationError, match="'instruction' is not a setting; did you mean 'ins"
    ):
        VoiceEngineConfig.load(instruction="x")
    with pytest.raises(ConfigurationError, match="did you mean 'voice'"):
        VoiceEngineConfig().with_changes(voise="x")
    with pytest.raises(ConfigurationError, match="known are provider, api_key"):
        VoiceEngine(qqqqqq=1)
    with pytest.raises(ConfigurationError, match="VoiceEngineConfig, not dict"):
        VoiceEngine({"provider": "mock"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (AudioFormat("g711_alaw", 8000), AudioFormat("g711_alaw", 8000)),
        (16000, AudioFormat("pcm16", 16000)),
        ("pcm16", AudioFormat("pcm16", 24000)),
        ("pcm16@8000", AudioFormat("pcm16", 8000)),
        ("g711_ulaw", AudioFormat("g711_ulaw", 8000)),
        ({"sample_rate": 48000}, AudioFormat("pcm16", 48000)),
    ],
)
def test_formats_may_be_written_in_short(value: Any, expected: AudioFormat) -> None:
    assert VoiceEngineConfig(input_format=value).input_format == expected


# -- copies


def test_a_copy_with_changes_leaves_the_original() -> None:
    config = VoiceEngineConfig(voice="a", metadata={"x": 1})
    other = config.with_changes(voice="b")
    assert (config.voice, other.voice) == ("a", "b")
    assert other.metadata == {"x": 1}


def test_what_the_provider_does_to_its_metadata_does_not_change_the_configuration() -> None:
    config = VoiceEngineConfig(metadata={"x": 1})
    config.provider_config().metadata["x"] = 2
    assert config.metadata == {"x": 1}


# -- what the modes ask of a provider


@pytest.mark.parametrize(
    ("mode", "words", "speech"),
    [("fast", False, True), ("big", True, True), ("provider", None, None)],
)
def test_modes(mode: Any, words: bool | None, speech: bool | None) -> None:
    """Also in mode "fast" the session has to know when the user speaks, or nobody could interrupt."""
    provider = VoiceEngineConfig(mode=mode).provider_config()
    assert (provider.transcription, provider.partials, provider.vad_events) == (
        words,
        words,
        speech,
    )


def test_the_provider_gets_all_that_is_set() -> None:
    settings: dict[str, Any] = {
        "api_key": KEY,
        "model": "m",
        "voice": "v",
        "instructions": "i",
        "temperature": 0.1,
        "max_response_tokens": 5,
        "modalities": ["text"],
        "language": "de",
        "turn_detection": "none",
        "input_format": AudioFormat("g711_ulaw", 8000),
        "output_format": AudioFormat("pcm16", 8000),
        "metadata": {"region": "eu"},
    }
    config = VoiceEngineConfig(**settings)
    provider = config.provider_config(tools=[{"name": "t"}], partials=False)
    assert {name: provider[name] for name in settings} == settings
    assert provider.tools == [{"name": "t"}]
    assert provider.partials is False


# -- a provider's configuration


def test_attributes_and_items_are_the_same() -> None:
    config: Any = ProviderConfig(voice="v", metadata={"endpoint": "e"}, region="eu")
    assert config["voice"] == config.voice == config.get("voice") == "v"
    assert config["metadata"]["endpoint"] == config.metadata["endpoint"] == "e"
    assert config["region"] == config.region == "eu"
    assert config.option("region") == "eu"
    assert config.option("endpoint") == "e"
    assert config.option("nothing", "default") == "default"
    config.voice = "w"
    assert config["voice"] == "w"


def test_a_mapping_of_what_was_set() -> None:
    config: Any = ProviderConfig(voice="v", temperature=0.0)
    assert dict(config) == {"voice": "v", "temperature": 0.0, "metadata": {}}
    assert config.get("model", "default") == "default"
    assert "model" not in config
    assert config.model is None
    assert len(config) == 3
    with pytest.raises(KeyError):
        config["model"]
    with pytest.raises(AttributeError, match="region"):
        config.region  # noqa: B018


def test_it_is_made_of_any_mapping_and_stays_itself() -> None:
    config = ProviderConfig.of({"voice": "v", "region": "eu"})
    assert (config.voice, config.option("region")) == ("v", "eu")
    assert ProviderConfig.of(config) is config
    assert dict(ProviderConfig.of(dict(config))) == dict(config)
    assert dict(ProviderConfig.of(None)) == {"metadata": {}}
    with pytest.raises(ConfigurationError, match="not str"):
        ProviderConfig.of("x")  # type: ignore[arg-type]


def test_settings_can_be_changed() -> None:
    config: Any = ProviderConfig(voice="v")
    config.update(voice="w", region="eu", temperature=0.5)
    assert (config.voice, config.region, config.temperature) == ("w", "eu", 0.5)


def test_it_can_be_copied_and_sent_to_another_process() -> None:
    config: Any = ProviderConfig(voice="v", metadata={"a": 1}, region="eu")
    for other in (copy.copy(config), copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert dict(other) == dict(config)
        assert other.region == "eu"


# -- secrets


SECRETS: dict[str, Any] = {
    "api_key": KEY,
    "Authorization": f"Bearer {KEY}",
    "headers": {"X-Api-Key": KEY},
    "list": [{"token": KEY}, ({"password": KEY},)],
    "credentials": {"id": KEY, "nested": {"value": KEY}},
    "client_secret": [KEY],
    "key_bytes": KEY.encode(),
}


def test_whatever_is_named_like_a_secret_is_masked_wherever_it_is() -> None:
    shown = repr(masked(SECRETS))
    assert KEY not in shown
    assert "Authorization" in shown


def test_what_is_not_a_secret_is_shown() -> None:
    harmless = {"max_tokens": 5, "use_key": True, "endpoint": "wss://x", "api_key": None}
    assert masked(harmless) == harmless


@pytest.mark.parametrize(
    "config",
    [
        VoiceEngineConfig(api_key=KEY, metadata=SECRETS),
        ProviderConfig(api_key=KEY, metadata=SECRETS),
        ProviderConfig(**SECRETS),
        VoiceEngineConfig(api_key=KEY).provider_config(),
        VoiceEngineConfig(api_key=KEY).with_changes(voice="x"),
    ],
)
def test_no_way_of_showing_a_configuration_shows_a_key(config: Any) -> None:
    for shown in (repr(config), str(config), f"{config}", f"{config!r}", "%s" % config):  # noqa: UP031
        assert KEY not in shown
        assert "***" in shown


def test_masking_changes_nothing() -> None:
    config = VoiceEngineConfig(api_key=KEY, metadata={"list": [{"token": KEY}]})
    repr(config)
    assert config.api_key == KEY
    assert config.metadata["list"][0]["token"] == KEY


async def test_a_key_is_in_no_log_event_or_description_of_a_conversation(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    config = VoiceEngineConfig(
        provider="mock", api_key=KEY, metadata={"mock_responses": {"hi": "hello"}}
    )
    engine = VoiceEngine(config)
    seen: list[Any] = []
    engine.on("*", seen.append)
    async with engine:
        await engine.send_text("hi")
        done = engine.events("response_completed")
        await anext(done)
        done.close()
        await engine.update_session(instructions="be brief", api_key=KEY)
        engine.on("text_chunk", lambda _: 1 // 0)
        await engine.send_text("again")
        shown = [
            repr(engine),
            repr(engine.provider),
            repr(engine.provider and engine.provider.config),
        ]
        shown += [json.dumps(engine.get_metrics()), json.dumps(await engine.get_usage())]
    shown += [caplog.text, engine.conversation.to_json(), engine.conversation.transcript()]
    shown += [repr(e) + repr(e.data) for e in seen]
    assert len(seen) > 10
    assert not [text for text in shown if KEY in text]


def test_the_key_of_a_fallback_is_that_of_the_variable_it_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AZURE_API_KEY", "usual")
    monkeypatch.delenv("MY_AZURE_KEY", raising=False)
    config = VoiceEngineConfig(provider="mock")
    entry = {"provider": "azure", "api_key_env": "MY_AZURE_KEY"}
    with pytest.raises(ConfigurationError, match="MY_AZURE_KEY, which is not set"):
        config.for_provider(entry)
    assert config.for_provider({**entry, "api_key": "given"}).api_key == "given"
    assert config.for_provider({"provider": "azure"}).api_key == "usual"
    monkeypatch.setenv("MY_AZURE_KEY", "named")
    assert config.for_provider(entry).api_key == "named"


async def test_a_call_does_not_begin_with_a_fallback_whose_key_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MY_AZURE_KEY", raising=False)
    fallback = [{"provider": "azure", "api_key_env": "MY_AZURE_KEY"}]
    engine = VoiceEngine(provider="mock", fallback=fallback)
    with pytest.raises(ConfigurationError, match="MY_AZURE_KEY"):
        await engine.connect()
    assert not engine.is_connected
