"""The brain `openai`: OpenAI's address and key by themselves, or any other that speaks its protocol."""

from __future__ import annotations

import pytest

from tests.brains.helpers import ask, text_of, users
from voxengine.config import ProviderConfig
from voxengine.errors import ConfigurationError
from voxengine.providers.cascade.assembly import Parts
from voxengine.providers.cascade.brains.openai_chat import OpenAIChatBrain
from voxengine.providers.cascade.registry import create_part
from voxengine.providers.cascade.settings import CascadeSettings

KEY = "sk-proj-1234567890"


@pytest.fixture
def no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def test_openai_needs_nothing_but_a_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    brain = create_part("brain", "openai/gpt-5-mini")
    assert isinstance(brain, OpenAIChatBrain)
    assert (brain.name, brain.model) == ("openai", "gpt-5-mini")
    assert "https://api.openai.com/v1" in repr(brain)
    assert KEY not in repr(brain)
    assert brain._endpoint.headers["authorization"] == f"Bearer {KEY}"


def test_a_limit_has_the_name_that_openai_gives_it(no_key):
    brain = create_part("brain", "openai", {"api_key": KEY, "max_tokens": 50, "extra": {"seed": 1}})
    assert brain._fixed["max_completion_tokens"] == 50
    assert brain._fixed["seed"] == 1
    assert "max_tokens" not in brain._fixed


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "OPENAI_API_KEY"),
        ({"api_key": KEY, "max_tokens": 0}, "max_tokens"),
        ({"api_key": KEY, "colour": "red"}, "the openai brain has no option 'colour'"),
        ({"api_key_env": "NO_SUCH_KEY"}, "NO_SUCH_KEY"),
    ],
)
def test_mistakes(no_key, options, words):
    with pytest.raises(ConfigurationError, match=words):
        create_part("brain", "openai", options)


@pytest.mark.real_clock
async def test_another_address_is_not_shown_the_key_of_the_environment(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    brain = create_part("brain", "openai/llama3.2", {"base_url": server.url})
    try:
        assert text_of(await ask(brain, users("Hi"))) == "Hello there."
    finally:
        await brain.close()
    assert "authorization" not in {name.lower() for name in server.requests[-1].headers}


def test_settings_of_the_session_become_options_of_the_part(no_key):
    config = ProviderConfig(
        api_key=KEY, max_response_tokens=77, metadata={"llm": "openai/gpt-5-mini", "stt": "whisper"}
    )
    parts = Parts.make(CascadeSettings.of(config), config)
    assert isinstance(parts.brain, OpenAIChatBrain)
    assert parts.brain._fixed["max_completion_tokens"] == 77
