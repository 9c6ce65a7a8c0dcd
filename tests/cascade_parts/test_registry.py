from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from voxengine.errors import ConfigurationError
from voxengine.providers.cascade import registry
from voxengine.providers.cascade.energy import EnergyVAD
from voxengine.providers.cascade.registry import (
    create_part,
    list_parts,
    register_part,
    unregister_part,
)


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    for kind, name in list(registry._registered):
        unregister_part(kind, name)


def made(model, options):
    return SimpleNamespace(model=model, options=dict(options))


def test_built_in_names():
    assert list_parts("vad") == ["energy", "silero"]
    assert list_parts("turn") == ["adaptive"]
    # And those of the vendors, which come and go with their folders.
    assert {"whisper"} <= set(list_parts("stt"))
    assert {"hibari", "cartesia"} <= set(list_parts("tts"))
    assert {"anthropic", "openai", "openai-chat", "scripted", "smollm2"} <= set(list_parts("brain"))


@pytest.mark.parametrize(
    ("spec", "model"),
    [
        ("mine", ""),
        ("mine/base", "base"),
        ("mine//path/to/dir", "/path/to/dir"),
        ("mine/a/b", "a/b"),
    ],
)
def test_what_is_behind_the_first_slash_is_the_model(spec, model):
    register_part("stt", "mine", made)
    part = create_part("stt", spec, {"x": 1})
    assert (part.model, part.options) == (model, {"x": 1})


def test_names_of_whisper_models_and_voices():
    assert create_part("stt", "whisper").name == "whisper/tiny.en"
    assert create_part("stt", "whisper/base").name == "whisper/base"
    assert create_part("stt", "whisper//models/mine").model == "/models/mine"
    assert create_part("tts", "hibari/emma").name == "hibari"


def test_heavy_parts_are_shared_by_spec_and_options():
    first = create_part("stt", "whisper/tiny.en", {"beam": 2})
    assert create_part("stt", "whisper/tiny.en", {"beam": 2}) is first
    assert create_part("stt", "whisper/tiny.en", {"beam": 3}) is not first
    assert create_part("turn", "adaptive") is not create_part("turn", "adaptive")


def test_shared_parts_are_bounded():
    register_part("stt", "mine", made, shared=True)
    first = create_part("stt", "mine/0")
    for number in range(1, registry.MAX_SHARED + 1):
        create_part("stt", f"mine/{number}")
    assert len(registry._shared) <= registry.MAX_SHARED
    assert create_part("stt", "mine/0") is not first


def test_registering_again_replaces_and_unregistering_restores():
    register_part("vad", "energy", made)
    assert create_part("vad", "energy", {"a": 1}).options == {"a": 1}
    unregister_part("vad", "energy")
    assert isinstance(create_part("vad", "energy"), EnergyVAD)


def test_factory_by_import_path():
    register_part("vad", "mine", "voxengine.providers.cascade.factories:energy")
    assert isinstance(create_part("vad", "mine", {"threshold_db": -40}), EnergyVAD)


def test_parts_of_installed_packages(monkeypatch):
    point = SimpleNamespace(load=lambda: made)
    monkeypatch.setattr(registry, "_offered", {"stt.parakeet": point, "tts.other": point})
    assert {"parakeet", "whisper"} <= set(list_parts("stt"))
    assert create_part("stt", "parakeet/v3").model == "v3"


@pytest.mark.parametrize(
    ("kind", "spec", "options", "message"),
    [
        ("ears", "whisper", {}, "vad, turn, stt, brain, tts"),
        ("stt", "wisper/base", {}, r"available: .*whisper. Did you mean 'whisper'"),
        ("stt", "", {}, r"available: .*whisper"),
        ("vad", "silero/large", {}, "nothing behind"),
        ("vad", "energy", {"loud": 1}, "no option 'loud'; it has threshold_db"),
        ("vad", "silero", {"x": 1}, "it has none"),
        ("vad", "energy", {"slope_db": 0}, "slope_db"),
        ("vad", "energy", {"slope_db": "steep"}, "energy:"),
        ("stt", "whisper", {"beam": 0}, "beam"),
        ("stt", "whisper", {"model": "base"}, "no option 'model'"),
        ("stt", "whisper", {"guards": {"margin": 1}}, "no option 'margin'; it has min_context_s"),
        ("stt", "whisper", {"guards": {"margin_s": "x"}}, "guards"),
        ("tts", "hibari", {"max_chars": 1}, "max_chars"),
    ],
)
def test_mistakes_are_named(kind, spec, options, message):
    with pytest.raises(ConfigurationError, match=message):
        create_part(kind, spec, options)


@pytest.mark.parametrize(
    ("name", "factory"), [("", made), ("a/b", made), ("a", 3), ("a", "module")]
)
def test_bad_registrations(name, factory):
    with pytest.raises(ConfigurationError):
        register_part("stt", name, factory)


def test_making_parts_imports_no_engine():
    code = """
import sys
import voxengine
from voxengine.providers.cascade.registry import create_part
for kind, spec in (("vad", "silero"), ("stt", "whisper"), ("tts", "hibari"), ("turn", "adaptive")):
    create_part(kind, spec)
heavy = {"onnxruntime", "ctranslate2", "faster_whisper", "hibari", "numpy", "huggingface_hub"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=50)
