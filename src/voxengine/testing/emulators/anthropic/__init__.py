"""An emulator of Anthropic's Messages API: `AnthropicEmulator`."""

from voxengine.testing.emulators.anthropic.emulator import AnthropicEmulator, AnthropicSettings

__all__ = ["AnthropicEmulator", "AnthropicSettings"]
