"""Emulators of ElevenLabs: of an agent, of Scribe, and of a voice."""

from voxengine.testing.emulators.elevenlabs.emulator import AgentSettings, ElevenLabsEmulator
from voxengine.testing.emulators.elevenlabs.scribe import ScribeEmulator, ScribeSettings
from voxengine.testing.emulators.elevenlabs.speech import SpeechEmulator, SpeechSettings

__all__ = [
    "AgentSettings",
    "ElevenLabsEmulator",
    "ScribeEmulator",
    "ScribeSettings",
    "SpeechEmulator",
    "SpeechSettings",
]
