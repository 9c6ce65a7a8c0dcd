"""`voxengine.toml`: what it says, and what is said of it when it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from voxengine.errors import ConfigurationError
from voxengine.gateway.config import GatewayConfig
from voxengine.gateway.routes import Routes

EVERYTHING = """
[gateway]
host = "0.0.0.0"
port = 9090
origins = ["https://app.example"]
trusted_proxies = ["10.0.0.0/8"]
default_route = "support"
resume_window = 60
max_calls = 20
store = "data/calls.db"
retention_days = 7
recording = "wav"

[[gateway.ice_servers]]
urls = ["stun:stun.example:3478"]

[providers.second]
provider = "openai"
api_key_env = "SECOND_KEY"
endpoint = "wss://eu.example/v1"
voice = "cedar"

[providers.second.metadata]
project = "support"

[routes.support]
providers = ["openai/gpt-realtime-2.1", "second/gpt-realtime-mini", "mock"]
description = "The help desk"
instructions = "Be short."
voice = "marin"
max_cost = 0.5
max_duration = 600
failover_after = 0.5
warm_standby = true
recording = "off"

[[routes.support.tools]]
name = "look_up"
description = "Find an order"
url = "https://tools.example/look_up"
parameters = { type = "object", properties = { order = { type = "string" } } }

[keys]
file = "keys.json"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "voxengine.toml"
    path.write_text(text)
    return path


def test_a_whole_file(tmp_path: Path):
    config = GatewayConfig.load(write(tmp_path, EVERYTHING))

    assert (config.host, config.port, config.max_calls) == ("0.0.0.0", 9090, 20)
    assert config.resume_window == 60
    assert config.origins == ("https://app.example",)
    assert config.ice_servers == ({"urls": ["stun:stun.example:3478"]},)
    second = config.providers["second"]
    assert (second.provider, second.api_key_env) == ("openai", "SECOND_KEY")
    assert second.settings == {
        "voice": "cedar",
        "metadata": {"project": "support", "endpoint": "wss://eu.example/v1"},
    }
    route = config.routes["support"]
    assert route.providers == ("openai/gpt-realtime-2.1", "second/gpt-realtime-mini", "mock")
    assert route.settings["warm_standby"] is True
    assert route.recording == "off"
    assert route.tools[0].url == "https://tools.example/look_up"
    assert not config.loopback


def test_paths_are_relative_to_the_file(tmp_path: Path):
    config = GatewayConfig.load(write(tmp_path, EVERYTHING))

    assert config.data_folder == tmp_path / "data"
    assert config.keys_config.file == str(tmp_path / "keys.json")


def test_without_a_file_everything_has_its_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    config = GatewayConfig.load()

    assert (config.host, config.port) == ("127.0.0.1", 8080)
    assert config.loopback
    assert config.routes == {}


def test_the_file_of_the_working_directory_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write(tmp_path, "[gateway]\nport = 1234\n")
    monkeypatch.chdir(tmp_path)

    assert GatewayConfig.load().port == 1234
    assert GatewayConfig.load(port=99).port == 99
    assert GatewayConfig.load(port=None).port == 1234


def test_a_provider_of_the_command_line_is_the_default_route():
    config = GatewayConfig.load(provider="mock")

    assert config.default_route == "default"
    assert config.routes["default"].providers == ("mock",)


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        GatewayConfig.load(tmp_path / "nothing.toml")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"gatway": {}}, "'gatway'; did you mean 'gateway'"),
    ({"gateway": {"prot": 1}}, r"\[gateway\] has no setting 'prot'; did you mean 'port'"),
    ({"gateway": {"port": 70000}}, r"\[gateway\] port: .*65535.* not 70000"),
    ({"gateway": {"port": "8080"}}, r"\[gateway\] port: expected int"),
    ({"gateway": {"max_calls": 0}}, r"\[gateway\] max_calls"),
    ({"gateway": {"recording": "mp3"}}, r"\[gateway\] recording: .*mp3"),
    ({"gateway": {"tls_key": "k.pem"}}, "tls_certificate and tls_key go together"),
    ({"gateway": {"default_route": "x"}}, "default_route 'x' is no route"),
    ({"gateway": {"ice_servers": [{"url": "x"}]}}, "did you mean 'urls'"),
    ({"gateway": {"ice_servers": [{"username": "x"}]}}, "has urls"),
    ({"gateway": {"store": "memory", "recording": "wav"}}, "recording needs a store in a file"),
    ({"gateway": 3}, r"\[gateway\] is a table"),
    ({"routes": {"a": 3}}, r"\[routes.a\] is a table"),
    ({"routes": {"a": {"provders": []}}}, r"\[routes.a\] .*did you mean 'providers'"),
    ({"routes": {"a": {"providers": []}}}, "names one at least"),
    ({"routes": {"a": {"providers": "mock"}}}, r"\[routes.a\] Expected array"),
    ({"routes": {"a": {"fallback": []}}}, "take over in their order"),
    ({"routes": {"a": {"model": "x"}}}, "provider/model"),
    ({"routes": {"a": {"api_key": "sk-1"}}}, "api_key_env"),
    ({"routes": {"a": {"tools": [{"name": "a b"}]}}}, r"\[routes.a\]"),
    ({"routes": {"a": {"tools": [{"name": "x"}, {"name": "x"}]}}}, "two tools of one name"),
    (
        {"routes": {"a": {"tools": [{"name": "x", "url": "http://far.example"}]}}},
        "https://, or http:// to this machine",
    ),
    (
        {"routes": {"a": {"tools": [{"name": "x", "url": "https://a", "function": "m:f"}]}}},
        "not both",
    ),
    ({"routes": {"a": {"tools": [{"name": "x", "function": "m"}]}}}, "module:name"),
    ({"routes": {"a": {"tools": [{"name": "x", "headers_env": {"a": "B"}}]}}}, "no url"),
    ({"providers": {"a": {"api_key": "sk-2"}}}, "api_key_env"),
    ({"providers": {"a": {"region": "eu"}}}, r"belongs in \[providers.a.metadata\]"),
    ({"providers": {"a/b": {}}}, "no '/'"),
    ({"providers": {"a": {"provider": 3}}}, "provider is text"),
    ({"keys": {"fil": "x"}}, r"\[keys\] has no setting 'fil'; did you mean 'file'"),
]


@pytest.mark.parametrize(("content", "words"), WRONG)
def test_what_is_wrong_is_said(content: dict[str, Any], words: str):
    with pytest.raises(ConfigurationError, match=words) as refused:
        GatewayConfig.from_dict(content)

    assert "sk-" not in str(refused.value)


def test_the_file_is_named_with_what_is_wrong_in_it(tmp_path: Path):
    path = write(tmp_path, "[gateway]\nprot = 1\n")

    with pytest.raises(ConfigurationError, match=str(path)):
        GatewayConfig.load(path)
    write(tmp_path, "[gateway\n")
    with pytest.raises(ConfigurationError, match="not valid TOML"):
        GatewayConfig.load(path)


def test_the_page_has_every_setting():
    page = (Path(__file__).parents[2] / "docs" / "gateway.md").read_text()
    table = page.partition("### `[gateway]`")[2].partition("###")[0]
    told = {name for line in table.splitlines() for name in line.split("|")[1:2]}
    names = {part.strip(" `") for cell in told for part in cell.split(",")} - {"name", "---"}

    tables = {"providers", "routes", "keys", "twilio"}
    own = set(GatewayConfig.__struct_fields__) - tables - {"folder"}
    assert names == own


def test_the_file_of_the_page_is_right(tmp_path: Path):
    page = (Path(__file__).parents[2] / "docs" / "gateway.md").read_text()
    text = page.partition("```toml\n")[2].partition("```")[0]

    Routes(GatewayConfig.load(write(tmp_path, text)))
