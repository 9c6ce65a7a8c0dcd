"""An emulator of Azure Voice Live: `VoiceLiveEmulator`."""

from voxengine.testing.emulators.azure_voice_live.emulator import VoiceLiveEmulator

__all__ = ["VoiceLiveEmulator"]
