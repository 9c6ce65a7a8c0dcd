"""Where settings come from: a TOML file, and the environment."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import Field
from pathlib import Path
from typing import Any

from voxengine.config.checks import check_names
from voxengine.errors import ConfigurationError

__all__ = ["from_env", "from_file", "key_in", "usual_key"]


def from_file(
    path: Path, env: Mapping[str, str], has_key: bool, known: Collection[str]
) -> dict[str, Any]:
    """What a TOML file says; the key is that of `api_key_env`, unless there is one (`has_key`).

    Raises:
        ConfigurationError: it cannot be read, or has a name that is not known.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as failure:
        raise ConfigurationError(
            f"the configuration {path} cannot be read: {failure.strerror or failure}"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failure:
        raise ConfigurationError(f"the configuration {path} is not valid TOML: {failure}") from None
    values = dict(content.get("voxengine", content))
    variable = values.pop("api_key_env", None)
    if variable and "api_key" not in values and not has_key:
        if not env.get(variable):
            raise ConfigurationError(f"{path} takes the key from {variable}, which is not set")
        values["api_key"] = env[variable]
    check_names(values, f"{path}:", known)
    return values


def from_env(env: Mapping[str, str], known: Iterable[Field[Any]]) -> dict[str, Any]:
    """What the variables `VOXENGINE_...` say.

    Raises:
        ConfigurationError: one is not valid.
    """
    values: dict[str, Any] = {}
    for setting in known:
        text = env.get(f"VOXENGINE_{setting.name.upper()}")
        if text is None or text == "":
            continue
        values[setting.name] = _parse(setting.name, str(setting.type), text)
    return values


def key_in(variable: str, whose: str) -> str:
    """The key that this variable holds; `whose` says in words what it is for.

    Raises:
        ConfigurationError: it is not set.
    """
    key = os.environ.get(variable)
    if not key:
        raise ConfigurationError(f"the key of {whose} is taken from {variable}, which is not set")
    return key


def usual_key(provider: Any, env: Mapping[str, str]) -> str | None:
    """The key in the provider's usual variable, such as `OPENAI_API_KEY`."""
    return env.get(f"{str(provider).upper().replace('-', '_')}_API_KEY") or None


def _parse(name: str, type_name: str, text: str) -> Any:
    try:
        if type_name == "bool":
            return tomllib.loads(f"value = {text.lower()}")["value"]
        if type_name.startswith("tuple"):
            return tuple(float(part) for part in text.split(",") if part.strip())
        if type_name.startswith("dict"):
            return tomllib.loads(f"value = {text}")["value"]
        if "float" in type_name:
            return float(text)
        if "int" in type_name:
            return int(text)
        if text.startswith("{") and ("dict" in type_name or type_name == "SentenceLike"):
            return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, tomllib.TOMLDecodeError) as failure:
        raise ConfigurationError(
            f"VOXENGINE_{name.upper()}={text!r} is not valid: {failure}"
        ) from None
    return [part.strip() for part in text.split(",")] if type_name.startswith("list") else text
