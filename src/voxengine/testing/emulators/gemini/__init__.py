"""An emulator of Gemini: the Live API and `streamGenerateContent`, at Google's address and at Vertex AI's."""

from voxengine.testing.emulators.gemini.emulator import GeminiEmulator

__all__ = ["GeminiEmulator"]
