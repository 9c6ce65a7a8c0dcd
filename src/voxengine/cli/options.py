"""Options that several commands share, and the configuration that they make."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from voxengine.cli.exits import InputProblem, keep_secret
from voxengine.config import VoiceEngineConfig
from voxengine.errors import ConfigurationError

__all__ = [
    "WARM_UP_S",
    "ConfigFile",
    "Debug",
    "Instructions",
    "Json",
    "ModeName",
    "Model",
    "ProviderName",
    "Settings",
    "VoiceName",
    "load_config",
    "output_folder",
]

ProviderName = Annotated[
    str | None,
    typer.Option("--provider", "-p", metavar="NAME", help="Provider to use [default: local]."),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="Configuration, a TOML file [env: VOXENGINE_CONFIG]."
    ),
]
ModeName = Annotated[
    str | None,
    typer.Option("--mode", "-m", metavar="MODE", help="fast, big or provider [default: big]."),
]
Model = Annotated[str | None, typer.Option("--model", metavar="NAME", help="The provider's model.")]
VoiceName = Annotated[
    str | None, typer.Option("--voice", "-v", metavar="NAME", help="The voice that answers.")
]
Instructions = Annotated[
    str | None, typer.Option("--instructions", "-i", metavar="TEXT", help="The system prompt.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="Any other setting; what the engine does not know goes to the provider. May be repeated.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Write JSON for programs.")]
Debug = Annotated[
    bool, typer.Option("--debug", help="Show tracebacks of errors [env: VOXENGINE_DEBUG].")
]

#: Loading models takes longer than opening a connection, above all from a cold disk.
WARM_UP_S = 120.0

_OWN = frozenset(f.name for f in fields(VoiceEngineConfig)) - {"metadata"}


def load_config(
    *,
    provider: str | None = None,
    config: Path | None = None,
    settings: Sequence[str] | None = None,
    **named: Any,
) -> VoiceEngineConfig:
    """The configuration: options before `--set` before environment before file.

    Raises:
        ConfigurationError: a name or a value is not allowed.
        UnknownProviderError: there is no such provider.
        InputProblem: `--set` is not a key and a value.
    """
    own, metadata = _read_settings(settings or ())
    own.update(
        {
            name: value
            for name, value in {"provider": provider, **named}.items()
            if value is not None
        }
    )
    loaded = VoiceEngineConfig.load(config, **own)
    keep_secret(loaded.api_key)
    changes: dict[str, Any] = {}
    if metadata:
        changes["metadata"] = _merged(loaded.metadata, metadata)
    if loaded.connect_timeout == VoiceEngineConfig.connect_timeout and _on_device(loaded.provider):
        changes["connect_timeout"] = WARM_UP_S
    return loaded.with_changes(**changes) if changes else loaded


def _on_device(provider: str) -> bool:
    from voxengine.cli.needs import capabilities_of

    capabilities = capabilities_of(provider)
    return capabilities is not None and capabilities.on_device


def _read_settings(pairs: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    own: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        name = name.strip()
        if not equals or not name:
            raise InputProblem(f"--set takes KEY=VALUE, not {pair.split('=')[0]!r}")
        if name == "api_key":
            raise ConfigurationError(
                "a key does not belong on the command line, where others can read it; set the provider's variable "
                "(such as OPENAI_API_KEY), or name one in the configuration file with api_key_env"
            )
        *path, last = name.removeprefix("metadata.").split(".")
        if name in _OWN:
            own[name] = _value(text)
            continue
        place = metadata
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise InputProblem(f"--set {name}: {part!r} was given a value before")
        place[last] = _value(text)
    return own, metadata


def _value(text: str) -> Any:
    """A number, truth value, list or table where it reads like one in TOML; else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    result = dict(first)
    for name, value in second.items():
        if isinstance(value, dict) and isinstance(result.get(name), dict):
            value = _merged(result[name], value)
        result[name] = value
    return result


def output_folder(path: Path) -> Path:
    """The folder, made if need be.

    Raises:
        InputProblem: it cannot be made or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as failure:
        raise InputProblem(
            f"the folder {path} cannot be made: {failure.strerror or failure}"
        ) from None
    if not os.access(path, os.W_OK):
        raise InputProblem(f"the folder {path} cannot be written to")
    return path
