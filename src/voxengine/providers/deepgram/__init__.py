"""Deepgram: the Voice Agent, which hears, thinks and speaks; and its ears and its voices by themselves.

- codec: messages of the agent in and out, pure.
- turns: its messages as turns and responses; pure.
- session: configuration and log in the vendor's form.
- provider: the connection, and what is said on it.
- stt, listening: recognition (Nova, and Flux, which finds turns), for a cascade.
- tts, speaking: speech (Aura, and Flux, which says what was heard), for a cascade.
"""

from voxengine.providers.deepgram.provider import DeepgramProvider

__all__ = ["DeepgramProvider"]
