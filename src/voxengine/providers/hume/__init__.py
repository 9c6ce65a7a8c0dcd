"""Hume's EVI, the Empathic Voice Interface: an agent that answers to how one sounds, too.

- codec: messages in and out, pure.
- audio: the samples in the WAV files that it sends.
- turns: messages as turns and responses; pure.
- session: configuration and log in the vendor's form.
- provider: the connection, and what is said on it.
"""

from voxengine.providers.hume.provider import HumeProvider

__all__ = ["HumeProvider"]
