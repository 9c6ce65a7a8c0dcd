"""Ultravox Realtime: an agent whose model hears the audio itself, on the vendor's own servers.

- codec: messages in and out, pure.
- turns: messages as turns and responses; pure.
- session: configuration and log as a call of the vendor's.
- calls: the request that creates a call.
- voices: its voices, as far as they are known.
- provider: the connection, and what is said on it.
"""

from voxengine.providers.ultravox.provider import UltravoxProvider

__all__ = ["UltravoxProvider"]
