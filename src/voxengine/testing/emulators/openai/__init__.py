"""The emulator of OpenAI's Realtime API (GA), and of the dialects of it: Azure's, xAI's, and compatible endpoints'."""

from voxengine.testing.emulators.openai.dialects import DIALECTS, Dialect
from voxengine.testing.emulators.openai.emulator import EmulatorFailed, OpenAIEmulator
from voxengine.testing.emulators.openai.items import Item
from voxengine.testing.emulators.openai.session import Session

__all__ = ["DIALECTS", "Dialect", "EmulatorFailed", "Item", "OpenAIEmulator", "Session"]
