"""An emulator of Deepgram: the Voice Agent, and the interfaces for speech. `DeepgramEmulator`."""

from voxengine.testing.emulators.deepgram.emulator import DeepgramEmulator, DeepgramSettings

__all__ = ["DeepgramEmulator", "DeepgramSettings"]
