from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from voxengine.gateway.auth import Gatekeeper, Key, KeyFile, KeysConfig, new_identity, new_key


class Doors:
    """A file of keys, and gatekeepers that read it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "keys.json"
        self.state = folder / "state"
        self._made: list[Gatekeeper] = []

    def key(self, **fields: Any) -> str:
        """Add a key with these limits to the file: the key to show."""
        with KeyFile(self.file).changing() as keys:
            identity = new_identity(keys)
            hashed, made = new_key(identity)
            keys[identity] = msgspec.convert({"id": identity, "hash": hashed, **fields}, Key)
        return made

    def change(self, key: str, **fields: Any) -> None:
        with KeyFile(self.file).changing() as keys:
            identity = id_of(key)
            keys[identity] = msgspec.structs.replace(keys[identity], **fields)

    def keeper(self, *, kept: bool = False, **options: Any) -> Gatekeeper:
        """A gatekeeper; with `kept`, one that remembers in the folder."""
        failures = options.pop("failures_per_minute", 20)
        config = KeysConfig(file=str(self.file), failures_per_minute=failures)
        keeper = Gatekeeper(config, state=self.state if kept else None, **options)
        self._made.append(keeper)
        return keeper

    def close(self) -> None:
        for keeper in self._made:
            keeper.close()


def id_of(key: str) -> str:
    return key.split("_")[1]


def bearer(key: str, **more: str) -> dict[str, str]:
    return {"host": "localhost:8080", "authorization": f"Bearer {key}", **more}


@pytest.fixture
async def doors(tmp_path: Path) -> AsyncIterator[Doors]:
    made = Doors(tmp_path)
    yield made
    made.close()
