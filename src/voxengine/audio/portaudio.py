"""The boundary to PortAudio: open a stream, or say clearly why not.

PortAudio is reached through the package sounddevice, which is imported here and only when a device
is opened.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeAlias

from voxengine.errors import AudioError, ConfigurationError, MissingDependencyError

__all__ = ["Device", "Stream", "StreamKind", "open_stream", "reason"]

#: A device's number, a part of its name, a pair of these (input, output), or None for the system's
#: choice.
Device: TypeAlias = "int | str | tuple[int | str | None, int | str | None] | None"
StreamKind: TypeAlias = Literal["RawInputStream", "RawOutputStream", "RawStream"]

_WHAT = {
    "RawInputStream": "microphone",
    "RawOutputStream": "loudspeaker",
    "RawStream": "microphone and loudspeaker",
}


class Stream(Protocol):
    """What we use of a stream of sounddevice."""

    #: PortAudio's own clock, in seconds; the times that callbacks are given are on it.
    time: float
    #: Seconds from handing audio over to hearing it (a pair, input and output, for both at once).
    latency: Any

    def start(self) -> None:
        """Let callbacks begin."""

    def abort(self) -> None:
        """Stop at once; what the device has buffered is lost."""

    def close(self) -> None:
        """Give the device back."""


def reason(problem: str) -> AudioError:
    """The error for a device that cannot be used."""
    return AudioError(problem, code="audio_device")


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError as error:
        raise MissingDependencyError("microphone and loudspeaker", "devices") from error
    except OSError as error:
        raise reason(
            "the PortAudio library is missing. On Debian and Ubuntu: apt install libportaudio2; on Fedora: dnf install "
            "portaudio; on macOS and Windows it comes with sounddevice: install that again"
        ) from error
    return sounddevice


def open_stream(
    kind: StreamKind, rate: int, frame_ms: int, device: Device, callback: Callable[..., None]
) -> tuple[Stream, int]:
    """Open (but do not start) a stream of int16 mono. Returns it and its rate.

    Where the device cannot do `rate`, its own default rate is taken; the caller has to convert.

    Raises:
        MissingDependencyError: sounddevice is not installed.
        AudioError: PortAudio is missing, or there is no such device, or it cannot be opened.
        ConfigurationError: `frame_ms` is not a positive number of tens.
    """
    if frame_ms <= 0 or frame_ms % 10:
        raise ConfigurationError(f"frames of a device are 10, 20, 30, ... ms, not {frame_ms}")
    sd = _sounddevice()
    failure: Exception | None = None
    for fallback in (False, True):
        try:
            actual = _default_rate(sd, kind, device) if fallback else rate
            stream = getattr(sd, kind)(
                samplerate=actual,
                blocksize=actual * frame_ms // 1000,
                device=device,
                channels=1,
                dtype="int16",
                latency="low",
                callback=callback,
            )
            return stream, actual
        # A name that fits no device is a ValueError.
        except (sd.PortAudioError, ValueError) as error:
            failure = failure or error
    raise reason(f"the {_WHAT[kind]} cannot be opened: {failure}. {_devices(sd)}") from failure


def _default_rate(sd: Any, kind: StreamKind, device: Device) -> int:
    """The default rate of the device. For both directions, that of the loudspeaker."""
    if isinstance(device, tuple):
        device = device[0 if kind == "RawInputStream" else 1]
    info = sd.query_devices(device, "input" if kind == "RawInputStream" else "output")
    return int(info["default_samplerate"])


def _devices(sd: Any) -> str:
    try:
        names = [f"{i}: {d['name']}" for i, d in enumerate(sd.query_devices())]
    except sd.PortAudioError:
        names = []
    if not names:
        return "This machine has no audio device (in a container or over SSH that is usual); use a WAV file instead"
    return "Devices: " + "; ".join(names)
