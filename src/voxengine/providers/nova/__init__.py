"""Amazon Nova Sonic, a speech-to-speech model of Amazon Bedrock.

- codec: messages in and out, pure.
- turns: contents as turns and responses, pure.
- shape: capabilities; configuration and log in the vendor's form.
- stream: the HTTP/2 event stream, by AWS's own library (Python 3.12 or newer).
- provider: the connection, and what is said on it.
"""

from voxengine.providers.nova.provider import NovaProvider

__all__ = ["NovaProvider"]
