"""OpenAI's Live API (`gpt-live-1`): a full-duplex model that listens and speaks at the same time.

- codec: messages in and out, pure.
- turns: the transcripts' pieces as turns and responses, which the API itself does not have; pure.
- session: configuration and log in the vendor's form.
- connection, provider: the connection, and what is said on it.
"""

from voxengine.providers.openai_live.provider import OpenAILiveProvider

__all__ = ["OpenAILiveProvider"]
