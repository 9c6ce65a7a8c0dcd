"""Audio: formats, conversion, buffers, the playout clock, WAV files, a test signal, and devices.

Names are imported when they are first used, and numpy when audio is first converted: importing this
package costs nothing, and never touches a sound card.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxengine.audio.devices import Microphone, Speaker
    from voxengine.audio.duplex import Duplex
    from voxengine.audio.echo import EchoCanceller
    from voxengine.audio.formats import ENCODINGS, MAX_CHUNK_BYTES, AudioFormat, check_audio
    from voxengine.audio.level import first_audible_ms, peak, rms_db, silence, trim_silence
    from voxengine.audio.playout import Heard, PlayoutClock
    from voxengine.audio.record import StereoRecorder, WavWriter
    from voxengine.audio.resample import Converter, Resampler, converter_for, same_audio
    from voxengine.audio.sentence import Sentence
    from voxengine.audio.wav import load_speech, read_wav, write_wav

_NAMES = {
    "devices": ("Microphone", "Speaker"),
    "duplex": ("Duplex",),
    "echo": ("EchoCanceller",),
    "formats": ("ENCODINGS", "MAX_CHUNK_BYTES", "AudioFormat", "check_audio"),
    "level": ("first_audible_ms", "peak", "rms_db", "silence", "trim_silence"),
    "playout": ("Heard", "PlayoutClock"),
    "record": ("StereoRecorder", "WavWriter"),
    "resample": ("Converter", "Resampler", "converter_for", "same_audio"),
    "sentence": ("Sentence",),
    "wav": ("load_speech", "read_wav", "write_wav"),
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "ENCODINGS",
    "MAX_CHUNK_BYTES",
    "AudioFormat",
    "Converter",
    "Duplex",
    "EchoCanceller",
    "Heard",
    "Microphone",
    "PlayoutClock",
    "Resampler",
    "Sentence",
    "Speaker",
    "StereoRecorder",
    "WavWriter",
    "check_audio",
    "converter_for",
    "first_audible_ms",
    "load_speech",
    "peak",
    "read_wav",
    "rms_db",
    "same_audio",
    "silence",
    "trim_silence",
    "write_wav",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
