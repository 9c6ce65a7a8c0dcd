"""Without the library that a vendor needs there is an error, and it has the command that installs it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from voxengine.providers.manifest import vendors

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


@pytest.mark.parametrize(("spec", "extra"), NEEDED)
def test_a_missing_extra_is_named_with_its_command(spec: str, extra: str):
    assert extra in PROJECT["optional-dependencies"], "there is no such extra"
    script = str(Path(__file__).with_name("without.py"))
    done = subprocess.run(
        [sys.executable, script, spec, *MODULES[extra]],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if extra == "aws" and sys.version_info < (3, 12) and spec != "tts.polly":
        assert "3.12" in done.stdout
    else:
        assert f"pip install 'voxengine[{extra}]'" in done.stdout


def test_the_core_stays_small():
    names = {requirement.partition(">")[0] for requirement in PROJECT["dependencies"]}
    assert names == {"msgspec", "numpy", "picows", "pybase64"}
