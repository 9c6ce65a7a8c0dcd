"""OpenAI Realtime, Azure OpenAI, xAI, and any endpoint that is compatible: one codec, and a table of differences.

- dialects: the table; encode, decode (with messages, usage, failures): the codec, pure.
- shape, history, address: configuration, log and endpoint in the vendor's form.
- gate: which response may be asked for when. connection, provider: the connection, and what is said on it.
"""

from voxengine.providers.openai.client_secrets import ClientSecret
from voxengine.providers.openai.dialects import DIALECTS, Dialect
from voxengine.providers.openai.provider import (
    AzureProvider,
    CustomProvider,
    OpenAIProvider,
    XAIProvider,
)

__all__ = [
    "DIALECTS",
    "AzureProvider",
    "ClientSecret",
    "CustomProvider",
    "Dialect",
    "OpenAIProvider",
    "XAIProvider",
]
