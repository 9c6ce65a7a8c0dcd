"""An emulator of OpenAI's text to speech: `SpeechEmulator`. Transcription sessions are emulated by `OpenAIEmulator`."""

from voxengine.testing.emulators.openai_speech.emulator import SpeechEmulator

__all__ = ["SpeechEmulator"]
