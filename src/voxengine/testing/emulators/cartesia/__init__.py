"""An emulator of Cartesia's text to speech: `CartesiaEmulator`."""

from voxengine.testing.emulators.cartesia.emulator import CartesiaEmulator, CartesiaSettings

__all__ = ["CartesiaEmulator", "CartesiaSettings"]
