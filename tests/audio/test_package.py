from __future__ import annotations

import subprocess
import sys

import pytest

import voxengine.audio
from voxengine.data import speech_path

HEAVY = ("numpy", "soxr", "sounddevice", "pywebrtc_audio", "_cffi_backend")


def test_importing_costs_nothing() -> None:
    """Importing the package and the modules a session needs loads no numpy and no device."""
    code = (
        "import sys; import voxengine.audio.resample, voxengine.audio.playout; "
        "import voxengine.audio.wav, voxengine.audio.devices; "
        "from voxengine.audio import *; "
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    for name in voxengine.audio.__all__:
        assert getattr(voxengine.audio, name) is not None
        assert name in dir(voxengine.audio)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = voxengine.audio.nothing


def test_recordings_of_the_package() -> None:
    assert speech_path("go_forward_ten_meters").read_bytes()[:4] == b"RIFF"
    assert speech_path("sense_and_sensibility_0880.wav").is_file()
    with pytest.raises(FileNotFoundError, match="go_forward_ten_meters"):
        speech_path("nothing")
