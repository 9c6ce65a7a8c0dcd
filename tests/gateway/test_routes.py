"""What a client asks for as `model`, and what an engine is made with for it."""

from __future__ import annotations

from typing import Any

import pytest

from voxengine.errors import ConfigurationError
from voxengine.gateway.config import GatewayConfig
from voxengine.gateway.grants import Grant
from voxengine.gateway.refusal import Refused
from voxengine.gateway.routes import Routes

KEYS = {"FIRST_KEY": "sk-first", "SECOND_KEY": "sk-second"}


def routes(content: dict[str, Any] | None = None, **gateway: Any) -> Routes:
    return Routes(GatewayConfig.from_dict({**(content or {}), "gateway": gateway}))


DESK: dict[str, Any] = {
    "providers": {
        "first": {"provider": "openai", "api_key_env": "FIRST_KEY", "endpoint": "ws://one"},
        "second": {
            "provider": "openai",
            "api_key_env": "SECOND_KEY",
            "model": "gpt-realtime-mini",
            "voice": "cedar",
            "temperature": 0.2,
        },
    },
    "routes": {
        "desk": {
            "providers": ["first/gpt-realtime-2.1", "second", "local"],
            "instructions": "Be short.",
            "voice": "marin",
            "temperature": 0.9,
            "max_cost": 2.0,
            "hedge": "second",
        },
        "play": {"providers": ["mock"]},
    },
}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


def test_the_first_provider_answers_and_the_others_are_its_fallback():
    config = routes(DESK).resolve("desk").config()

    assert (config.provider, config.model) == ("openai", "gpt-realtime-2.1")
    assert config.api_key == "sk-first"
    assert config.metadata == {"endpoint": "ws://one"}
    assert (config.instructions, config.voice, config.temperature) == ("Be short.", "marin", 0.9)
    second, third = config.fallback
    assert isinstance(second, dict)
    assert second["api_key"] == "sk-second"
    assert (second["model"], second["voice"]) == ("gpt-realtime-mini", "cedar")
    assert third == {"provider": "local"}
    assert isinstance(config.hedge, dict)
    assert config.hedge["api_key"] == "sk-second"


def test_the_fallback_has_the_settings_of_the_route_but_for_its_own():
    config = routes(DESK).resolve("desk").config()

    second = config.for_provider(config.fallback[0])

    assert second.instructions == "Be short."
    assert (second.voice, second.temperature) == ("cedar", 0.2)
    assert second.metadata == {}


def test_what_the_call_asks_for_is_stronger():
    config = routes(DESK).resolve("desk").config(voice="ash", temperature=0.5, instructions="Sing.")

    assert (config.voice, config.temperature, config.instructions) == ("ash", 0.5, "Sing.")
    assert config.for_provider(config.fallback[0]).temperature == 0.5


def test_a_provider_without_its_key_is_left_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("FIRST_KEY")
    config = routes(DESK).resolve("desk").config()
    assert config.model == "gpt-realtime-mini"
    assert config.api_key == "sk-second"

    monkeypatch.delenv("SECOND_KEY")
    assert routes(DESK).resolve("desk").config().provider == "local"
    # Not with the key of the vendor's usual variable: it was another that was named.
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    with pytest.raises(Refused, match="FIRST_KEY is not set") as refused:
        routes(DESK).resolve("first/gpt-realtime-2.1").config()
    assert refused.value.status == 503


def test_the_lower_limit_holds():
    desk = routes(DESK).resolve("desk")

    assert desk.config(Grant(key_id="k", max_cost=0.5)).max_cost == 0.5
    assert desk.config(Grant(key_id="k", max_cost=9.0)).max_cost == 2.0
    assert desk.config(Grant(key_id="k", max_duration=60)).max_duration == 60
    assert desk.config(Grant(key_id="k", max_cost=0.5), max_cost=0.1).max_cost == 0.1
    assert desk.config().max_duration is None


def test_no_secret_is_shown():
    route = routes(DESK).resolve("desk")

    assert "sk-" not in repr(route.config())
    assert "sk-" not in repr(route)
    assert "sk-" not in repr(route.links)


@pytest.mark.parametrize(
    ("model", "name", "provider"),
    [
        (None, "play", "mock"),
        ("", "play", "mock"),
        ("desk", "desk", "first/gpt-realtime-2.1"),
        ("gpt-realtime", "play", "mock"),
        ("gpt-realtime-2.1", "play", "mock"),
        ("gpt-realtime-mini-2025-12-15", "play", "mock"),
        ("gpt-4o-realtime-preview-2024-12-17", "play", "mock"),
        ("gpt-4o-mini-transcribe", "play", "mock"),
        ("whisper-1", "play", "mock"),
        ("openai/gpt-realtime-2.1", "openai/gpt-realtime-2.1", "openai/gpt-realtime-2.1"),
        ("second", "second", "second"),
        ("mock", "mock", "mock"),
    ],
)
def test_what_a_model_stands_for(model: str | None, name: str, provider: str):
    route = routes(DESK, default_route="play").resolve(model)

    assert (route.name, route.providers[0]) == (name, provider)


@pytest.mark.parametrize("model", ["nobody", "nobody/model", "gpt-5", "x" * 5000, "desk/x", "../x"])
def test_what_there_is_not(model: str):
    with pytest.raises(Refused) as refused:
        routes(DESK).resolve(model)

    assert (refused.value.status, refused.value.code) == (404, "model_not_found")
    assert len(str(refused.value)) < 300


def test_a_gateway_may_serve_its_routes_only():
    closed = routes(DESK, open_models=False)

    assert closed.resolve("desk").name == "desk"
    for model in ("mock", "openai/gpt-realtime-2.1", "second"):
        with pytest.raises(Refused):
            closed.resolve(model)


def test_the_model_of_a_provider_by_name():
    config = routes(DESK).resolve("second/other").config()

    assert (config.model, config.api_key) == ("other", "sk-second")


def test_without_routes_there_is_the_local_one():
    route = routes().resolve(None)

    config = route.config()
    assert (route.name, config.provider) == ("default", "local")
    # Its models may have to be read from a cold disk.
    assert config.connect_timeout == 120


def test_the_first_route_is_the_default_where_none_is_named():
    assert routes(DESK).default == "desk"
    other = {"routes": {"a": {"providers": ["mock"]}, "default": {"providers": ["mock"]}}}
    assert routes(other).default == "default"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"routes": {"a": {"providers": ["mok"]}}}, r"\[routes.a\] .*'mok'.* did you mean 'mock'"),
        ({"routes": {"a": {"providers": ["mock"], "max_cost": -1}}}, r"\[routes.a\] max_cost"),
        ({"routes": {"a": {"hedge": "mok"}}}, r"\[routes.a\] .*'mok'"),
        ({"providers": {"a": {"provider": "opnai"}}}, "did you mean 'openai'"),
        (
            {
                "providers": {"a": {"provider": "mock", "connect_timeout": -1}},
                "routes": {"r": {"providers": ["a"]}},
            },
            "connect_timeout",
        ),
    ],
)
def test_a_configuration_that_cannot_work(content: dict[str, Any], words: str):
    with pytest.raises(ConfigurationError, match=words):
        routes(content)


def test_tools_that_are_the_clients():
    tools = [
        {"name": "mine", "url": "https://a.example"},
        {"name": "yours", "description": "Do it"},
    ]
    route = routes({"routes": {"a": {"providers": ["mock"], "tools": tools}}}).resolve("a")

    assert route.client_tools == [
        {
            "type": "function",
            "name": "yours",
            "description": "Do it",
            "parameters": {"type": "object", "properties": {}},
        }
    ]
