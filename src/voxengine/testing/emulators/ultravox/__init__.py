"""An emulator of Ultravox Realtime: `UltravoxEmulator`."""

from voxengine.testing.emulators.ultravox.emulator import UltravoxEmulator, UltravoxSettings

__all__ = ["UltravoxEmulator", "UltravoxSettings"]
