"""Without the library that a vendor needs there is an error, and it has the command that installs it."""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from voxengine import VoiceEngineError
from voxengine.providers.cascade import create_part, registry
from voxengine.providers.manifest import vendors
from voxengine.providers.registry import create_provider

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
#: What is imported of each extra.
MODULES = {
    "anthropic": ("anthropic",),
    "aws": ("aws_sdk_bedrock_runtime", "aws_sdk_transcribe_streaming", "botocore"),
    "azure-speech": ("azure.cognitiveservices",),
    "chat": ("httpx",),
    "google": ("google.genai", "google.cloud.speech", "google.cloud.speech_v2", "google.auth"),
    "local": ("faster_whisper", "hibari", "onnxruntime"),
    "smollm2": ("xllamacpp",),
}
NEEDED = sorted(
    (spec, extra) for vendor in vendors().values() for spec, extra in vendor.extras.items()
)


class _NotThere(importlib.abc.MetaPathFinder):
    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)

    def find_spec(
        self, name: str, path: Any = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if any(name == gone or name.startswith(f"{gone}.") for gone in self._names):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


@contextmanager
def without(*names: str) -> Iterator[None]:
    """As if these were not installed."""
    hidden = {
        name: module
        for name, module in list(sys.modules.items())
        if any(name == gone or name.startswith(f"{gone}.") for gone in names)
    }
    finder = _NotThere(names)
    sys.meta_path.insert(0, finder)
    for name in hidden:
        del sys.modules[name]
    # `from google import genai` also finds what the package has as an attribute.
    attributes = []
    for name in names:
        above, _, own = name.rpartition(".")
        package = sys.modules.get(above)
        if package is not None and hasattr(package, own):
            attributes.append((package, own, getattr(package, own)))
            delattr(package, own)
    shared = registry._shared.copy()
    registry._shared.clear()
    try:
        yield
    finally:
        registry._shared.clear()
        registry._shared.update(shared)
        sys.meta_path.remove(finder)
        sys.modules.update(hidden)
        for package, own, value in attributes:
            setattr(package, own, value)


#: What each has to be told before it looks for its library.
_OPTIONS: dict[str, dict[str, Any]] = {
    "elevenlabs": {"agent_id": "agent_1", "signed": True},
    "stt.azure": {"region": "eastus"},
    "tts.azure": {"region": "eastus"},
    "stt.google": {"project": "p"},
    "stt.transcribe": {"region": "us-east-1"},
    "tts.polly": {"region": "us-east-1"},
    "brain.openai-chat": {"base_url": "http://127.0.0.1:9/v1"},
}
_ON_THIS_MACHINE = frozenset({"vad.silero", "stt.whisper", "tts.hibari", "brain.smollm2"})
_MODELS = {"brain.openai-chat": "openai-chat/llama3.2"}


async def _use(spec: str) -> None:
    kind, _, name = spec.rpartition(".")
    options = _OPTIONS.get(spec, {})
    if not kind:
        provider = create_provider(name, {"api_key": "sk-test", "metadata": options})
        await provider.connect()
        return
    if spec not in _ON_THIS_MACHINE and spec not in ("stt.transcribe", "tts.polly"):
        options = {"api_key": "sk-test", **options}
    part = create_part(kind, _MODELS.get(spec, name), options)
    await part.load()
    if hasattr(part, "synthesize"):
        async for _ in part.synthesize("Hello.", voice=None, speed=1.0, session="s"):
            break


@pytest.mark.real_clock
@pytest.mark.parametrize(("spec", "extra"), NEEDED)
async def test_a_missing_extra_is_named_with_its_command(spec: str, extra: str):
    assert extra in PROJECT["optional-dependencies"], "there is no such extra"
    with without(*MODULES[extra]), pytest.raises(VoiceEngineError) as missing:
        await _use(spec)
    words = str(missing.value)
    if extra == "aws" and sys.version_info < (3, 12) and spec != "tts.polly":
        assert "3.12" in words
    else:
        assert f"pip install 'voxengine[{extra}]'" in words


def test_the_core_stays_small():
    names = {requirement.partition(">")[0] for requirement in PROJECT["dependencies"]}
    assert names == {"msgspec", "numpy", "picows", "pybase64"}
