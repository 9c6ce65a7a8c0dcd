"""The configuration, and what the provider that it names needs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from voxengine.cli.doctor.checkup import Finding, State
from voxengine.cli.exits import redacted
from voxengine.cli.needs import capabilities_of, needs_of
from voxengine.cli.options import WARM_UP_S, load_config
from voxengine.config import VoiceEngineConfig, masked
from voxengine.errors import MissingDependencyError, VoiceEngineError
from voxengine.providers.registry import create_provider

__all__ = ["configuration", "models", "provider"]


def configuration(name: str | None, file: Path | None) -> tuple[VoiceEngineConfig | None, Finding]:
    """The configuration, and whether it is valid. None if it is not."""
    where = str(file or os.environ.get("VOXENGINE_CONFIG") or "environment and defaults")
    try:
        config = load_config(provider=name, config=file)
    except VoiceEngineError as failure:
        words = redacted(str(failure))
        return None, Finding(
            "provider", "configuration", "broken", words, f"correct {where}", needed=True
        )
    return config, Finding("provider", "configuration", detail=f"{where}: {_shown(config)}")


def _shown(config: VoiceEngineConfig) -> str:
    """What differs from the defaults, without keys."""
    values = {f.name: getattr(config, f.name) for f in fields(config)}
    default = VoiceEngineConfig()
    if values["connect_timeout"] == WARM_UP_S:
        del values["connect_timeout"]  # ours, not the user's
    differs = {
        n: v for n, v in values.items() if v != getattr(default, n) or n in ("provider", "mode")
    }
    return redacted(", ".join(f"{name}={value}" for name, value in masked(differs).items()))


def provider(config: VoiceEngineConfig) -> Iterator[Finding]:
    """Whether the configured provider has what it needs."""
    name = config.provider
    needs = needs_of(name)
    missing = [m for m in needs.missing if not (m.startswith("set ") and config.api_key)]
    capabilities = capabilities_of(name)
    where = (
        "on this machine"
        if capabilities is not None and capabilities.on_device
        else "over the network"
    )
    if missing:
        yield Finding(
            "provider",
            name,
            "broken",
            f"{where}; needs {needs.words}",
            "; ".join(missing),
            needed=True,
        )
        return
    try:
        create_provider(name, config.provider_config())
    except MissingDependencyError as failure:
        remedy = f"pip install 'voxengine[{failure.extra}]'"
        yield Finding("provider", name, "broken", redacted(str(failure)), remedy, needed=True)
    except Exception as failure:  # a provider of another package may raise anything
        yield Finding(
            "provider",
            name,
            "broken",
            redacted(f"{type(failure).__name__}: {failure}"),
            needed=True,
        )
    else:
        yield Finding("provider", name, detail=f"{where}; needs {needs.words}")


def models(config: VoiceEngineConfig | None) -> Iterator[Finding]:
    """The model files of the local parts: where, and whether they are the pinned ones."""
    from voxengine.providers.cascade.local.models import MODELS, all_models

    needed = config is not None and config.provider in ("local", "cascade")
    for model in all_models():
        state: State = "ok" if model.ok else "broken" if needed else "note"
        data = {
            "path": model.path,
            "sha256": model.sha256,
            "licence": model.licence,
            "model_state": model.state,
        }
        pinned = MODELS.get(model.name)
        purpose = f"{pinned.purpose}; " if pinned is not None else ""
        digest = f", SHA-256 {model.sha256[:12]}…" if model.sha256 else ""
        detail = f"{purpose}{model.state}{digest}, {model.path or 'nowhere'}"
        yield Finding(
            "models", model.name, state,
            detail if model.ok else f"{model.state}: {model.detail}", needed=needed, data=data,
        )  # fmt: skip
