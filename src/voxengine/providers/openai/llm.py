"""`openai`: OpenAI's text models as the brain of a cascade, at OpenAI's own address or at a compatible one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxengine.errors import ConfigurationError
from voxengine.providers.cascade.brains.openai_chat import OpenAIChatBrain
from voxengine.providers.endpoints import need_key

__all__ = ["BASE_URL", "DEFAULT_MODEL", "make"]

BASE_URL = "https://api.openai.com/v1"
DEFAULT_MODEL = "gpt-5-mini"
KEY_VARIABLES = ("OPENAI_API_KEY",)


def make(model: str, options: Mapping[str, Any]) -> OpenAIChatBrain:
    """`openai/MODEL`; its options are those of `openai-chat`, without a need for any of them.

    At another address the key of the environment is not shown: it is OpenAI's.

    Raises:
        ConfigurationError: an option is wrong, or there is no key.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if "base_url" in given:
        return OpenAIChatBrain(model or DEFAULT_MODEL, given, name="openai")
    if "api_key_env" not in given:
        given["api_key"] = need_key("openai", given.get("api_key"), KEY_VARIABLES)
    extra = given.get("extra") or {}
    if "max_tokens" in given and isinstance(extra, Mapping):
        # Its models of today know the limit by this name only.
        most = given.pop("max_tokens")
        if isinstance(most, bool) or not isinstance(most, int) or most < 1:
            raise ConfigurationError(
                f"option 'max_tokens' of the openai brain is a whole number of at least 1, not {most!r}"
            )
        given["extra"] = {"max_completion_tokens": most, **extra}
    return OpenAIChatBrain(model or DEFAULT_MODEL, {"base_url": BASE_URL, **given}, name="openai")
