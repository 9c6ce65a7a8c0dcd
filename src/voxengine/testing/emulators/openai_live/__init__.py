"""An emulator of OpenAI's Live API: `LiveEmulator`."""

from voxengine.testing.emulators.openai_live.emulator import LiveEmulator

__all__ = ["LiveEmulator"]
