"""An emulator of Azure Speech, recognition and synthesis: `AzureSpeechEmulator`."""

from voxengine.testing.emulators.azure_speech.emulator import AzureSpeechEmulator

__all__ = ["AzureSpeechEmulator"]
