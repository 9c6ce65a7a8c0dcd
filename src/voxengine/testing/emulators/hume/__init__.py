"""An emulator of Hume's EVI: `HumeEmulator`."""

from voxengine.testing.emulators.hume.emulator import HumeEmulator, HumeSettings

__all__ = ["HumeEmulator", "HumeSettings"]
