from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.desk import desk
from voxengine import VoiceEngine, VoiceEngineConfig, register_provider
from voxengine.providers import registry
from voxengine.providers.base import BaseProvider

MakeEngine = Callable[..., VoiceEngine]


@pytest.fixture(autouse=True)
def _own_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    for name in ("VOXENGINE_CONFIG", "VOXENGINE_PROVIDER", "VOXENGINE_MODE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def make_engine() -> MakeEngine:
    """An engine on a provider named "desk" of the given class."""

    def make(kind: type[BaseProvider] | None = None, **settings: Any) -> VoiceEngine:
        register_provider("desk", kind or desk())
        return VoiceEngine(VoiceEngineConfig(provider="desk", **settings))

    return make
