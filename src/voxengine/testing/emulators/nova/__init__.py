"""An emulator of Amazon Nova Sonic: `NovaEmulator`."""

from voxengine.testing.emulators.nova.emulator import NovaEmulator, NovaSession, NovaSettings

__all__ = ["NovaEmulator", "NovaSession", "NovaSettings"]
