"""An emulator of Google Cloud Speech-to-Text v2: `GoogleSTTEmulator`."""

from voxengine.testing.emulators.google_stt.emulator import GoogleSTTEmulator

__all__ = ["GoogleSTTEmulator"]
