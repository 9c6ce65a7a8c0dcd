"""Python, packages, keys and devices."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata

import voxengine
from voxengine.cli.doctor.checkup import Finding
from voxengine.cli.needs import extras, key_variables
from voxengine.config import VoiceEngineConfig
from voxengine.providers.registry import list_providers

__all__ = ["devices", "keys", "packages", "python"]

#: Variables that hold keys of vendors in this field, also of those that have no provider here (yet).
_USUAL_KEYS = (
    "ANTHROPIC_API_KEY", "ASSEMBLYAI_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AZURE_OPENAI_API_KEY",
    "CARTESIA_API_KEY", "DEEPGRAM_API_KEY", "ELEVENLABS_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY",
    "OPENAI_API_KEY", "XAI_API_KEY",
)  # fmt: skip
_NAME = re.compile(r"^[A-Za-z0-9._-]+")


def python() -> Iterator[Finding]:
    """The interpreter, the machine and the event loop."""
    version = platform.python_version()
    enough = sys.version_info >= (3, 11)
    yield Finding(
        "system", "Python", "ok" if enough else "broken", f"{version}, {sys.executable}",
        "" if enough else "VoxEngine needs Python 3.11 or newer", needed=True,
    )  # fmt: skip
    yield Finding("system", "platform", detail=f"{platform.platform()}, {_cores()} cores")
    loop = asyncio.new_event_loop()
    try:
        kind = f"{type(loop).__module__}.{type(loop).__qualname__}"
    finally:
        loop.close()
    with contextlib.suppress(metadata.PackageNotFoundError):
        kind += f" (uvloop {metadata.version('uvloop')} is installed too)"
    yield Finding("system", "event loop", detail=kind)


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def packages() -> Iterator[Finding]:
    """VoxEngine, what it depends on, and its extras."""
    yield Finding("packages", "voxengine", detail=voxengine.__version__)
    for requirement in _core_requirements():
        name = _NAME.match(requirement)
        if name is None:
            continue
        try:
            yield Finding("packages", name[0], detail=metadata.version(name[0]))
        except metadata.PackageNotFoundError:
            command = f"pip install '{requirement}'"
            yield Finding("packages", name[0], "broken", "not installed", command, needed=True)
    for extra in extras().values():
        have = ", ".join(f"{name} {version}" for name, version in extra.installed.items())
        if extra.complete:
            yield Finding("extras", extra.name, detail=have)
        else:
            missing = f"missing: {', '.join(extra.missing)}"
            yield Finding("extras", extra.name, "note", missing, extra.command)


def _core_requirements() -> list[str]:
    try:
        return [r for r in metadata.requires("voxengine") or [] if "extra ==" not in r]
    except metadata.PackageNotFoundError:
        return []


def keys(config: VoiceEngineConfig | None) -> Iterator[Finding]:
    """Which keys are set; nothing of what they are."""
    names = {*_USUAL_KEYS, "VOXENGINE_API_KEY", *(key_variables(p)[0] for p in list_providers())}
    found = sorted(name for name in names if os.environ.get(name))
    detail = ", ".join(found) or "none"
    yield Finding("keys", "variables that are set", detail=detail, data={"set": found})
    if (
        config is not None
        and config.api_key
        and not any(os.environ.get(n) for n in key_variables(config.provider))
    ):
        yield Finding("keys", "key of the configuration", detail="set")


def devices() -> Iterator[Finding]:
    """Microphones and loudspeakers, as far as PortAudio knows them."""
    try:
        import sounddevice
    except ImportError:
        yield Finding(
            "audio",
            "devices",
            "note",
            "the extra is not installed",
            "pip install 'voxengine[devices]'",
        )
        return
    except OSError:
        yield Finding(
            "audio", "devices", "note", "the PortAudio library is missing",
            "Debian, Ubuntu: apt install libportaudio2; Fedora: dnf install portaudio",
        )  # fmt: skip
        return
    try:
        found = list(sounddevice.query_devices())
    except Exception as failure:  # whatever the sound system has to say
        yield Finding("audio", "devices", "note", f"they cannot be listed: {failure}")
        return
    if not found:
        yield Finding(
            "audio", "devices", "note", "none (usual in a container); use WAV files or text"
        )
    for device in found:
        sides = [
            f"{device[f'max_{side}_channels']} {side}"
            for side in ("input", "output")
            if device[f"max_{side}_channels"]
        ]
        detail = f"{', '.join(sides)}, {device['default_samplerate']:.0f} Hz"
        yield Finding("audio", str(device["name"]), detail=detail)
