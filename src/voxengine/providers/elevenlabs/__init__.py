"""ElevenLabs: its agents as a provider, and its recogniser and its voices as parts of a cascade.

- access: where it is, the key to it, its voices and formats.
- alignment: characters and their times as words.
- codec: messages of the agents in and out, pure.
- turns: messages as turns and responses; pure.
- session: configuration and log in the vendor's form.
- failures: what went wrong there.
- signing: the address of an agent that is not public.
- provider: the connection to an agent, and what is said on it.
- stt: Scribe. tts, contexts, speech: the voices.
"""

from voxengine.providers.elevenlabs.provider import ElevenLabsProvider

__all__ = ["ElevenLabsProvider"]
