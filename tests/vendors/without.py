"""Use a provider or a part as if some modules were not there: `python without.py SPEC MODULE...` tells the error."""

from __future__ import annotations

import asyncio
import importlib.abc
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

#: What each has to be told before it looks for its library.
OPTIONS: dict[str, dict[str, Any]] = {
    "elevenlabs": {"agent_id": "agent_1", "signed": True},
    "stt.azure": {"region": "eastus"},
    "tts.azure": {"region": "eastus"},
    "stt.google": {"project": "p"},
    "stt.transcribe": {"region": "us-east-1"},
    "tts.polly": {"region": "us-east-1"},
    "brain.openai-chat": {"base_url": "http://127.0.0.1:9/v1"},
}
WITHOUT_KEY = frozenset(
    {"vad.silero", "stt.whisper", "tts.hibari", "brain.smollm2", "stt.transcribe", "tts.polly"}
)
MODELS = {"brain.openai-chat": "openai-chat/llama3.2"}


class NotThere(importlib.abc.MetaPathFinder):
    """Finds nothing of these names, and says so as Python does."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)

    def find_spec(
        self, name: str, path: Any = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if any(name == gone or name.startswith(f"{gone}.") for gone in self._names):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


async def use(spec: str) -> None:
    """Make it, and bring it to life."""
    from voxengine.providers.cascade import create_part
    from voxengine.providers.registry import create_provider

    kind, _, name = spec.rpartition(".")
    options = OPTIONS.get(spec, {})
    if not kind:
        await create_provider(name, {"api_key": "sk-test", "metadata": options}).connect()
        return
    if spec not in WITHOUT_KEY:
        options = {"api_key": "sk-test", **options}
    part = create_part(kind, MODELS.get(spec, name), options)
    await part.load()
    if hasattr(part, "synthesize"):
        async for _ in part.synthesize("Hello.", voice=None, speed=1.0, session="s"):
            break


def main(spec: str, names: Sequence[str]) -> None:
    """Write what it says."""
    sys.meta_path.insert(0, NotThere(names))
    from voxengine import VoiceEngineError

    try:
        asyncio.run(use(spec))
    except VoiceEngineError as failure:
        sys.stdout.write(str(failure))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
