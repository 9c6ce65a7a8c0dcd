"""AssemblyAI: the Voice Agent, and Universal-Streaming for a cascade.

- codec: the agent's messages in and out, pure.
- turns: its messages as turns and responses; pure.
- session: configuration and log in the vendor's form.
- provider: the connection to the agent, and what is said on it.
- stt: the recogniser, with a codec of its own (`stream`).
"""

from voxengine.providers.assemblyai.provider import AssemblyAIProvider

__all__ = ["AssemblyAIProvider"]
