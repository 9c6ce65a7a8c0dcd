"""Calls by WebRTC: audio as media, both ways, and OpenAI's events on a data channel.

`offer` looks at what a client offers, `connection` is the life of one connection, `microphone` and `loudspeaker` are
its audio, `channel` its messages. Needs the extra `webrtc`.
"""

from voxengine.gateway.webrtc.connection import Connection, connect

__all__ = ["Connection", "connect"]
