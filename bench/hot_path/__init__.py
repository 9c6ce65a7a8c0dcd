"""Calls over OpenAI's wire, many in one process: what a second of a call costs, against a raw socket.

Each call sends 20 ms of audio every 20 ms, and receives the events of a conversation with 100 ms of audio every 100 ms,
from a server in another process. The sides do the same with the same pace, each in a process of its own:

- floor: picows, msgspec and pybase64, and nothing else.
- voxengine: `VoiceEngine` with `provider="openai"`.
- websockets: `websockets`, `json` and `base64`.
- timers: the pace, without any call.
"""

from bench.hot_path.run import measure

__all__ = ["measure"]
