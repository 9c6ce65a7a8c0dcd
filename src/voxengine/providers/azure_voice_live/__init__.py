"""Azure Voice Live: a speech model, or any language model between Azure's own ears and voices, behind one socket.

The vocabulary is that of the Realtime API's preview, with a flat session and much of Azure's own beside it.

- shape: what it can do, and configuration and log in the vendor's form.
- voices: names of voices as the vendor wants them.
- codec: messages in, pure. Those going out are OpenAI's (`voxengine.providers.openai.encode`), to the letter.
- words: the text of an answer with the places of its words.
- turns: what the messages mean, pure.
- provider: the connection, and what is said on it.
"""

from voxengine.providers.azure_voice_live.provider import AzureVoiceLiveProvider

__all__ = ["AzureVoiceLiveProvider"]
