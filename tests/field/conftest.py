from __future__ import annotations

import pytest

from voxengine.providers import registry


@pytest.fixture(autouse=True)
def _own_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    for name in ("VOXENGINE_CONFIG", "VOXENGINE_PROVIDER", "VOXENGINE_MODE"):
        monkeypatch.delenv(name, raising=False)
