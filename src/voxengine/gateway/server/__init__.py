"""The front door: one port, behind which WebSockets go to picows and all other requests to an ASGI application.

    front = Front(app, sockets={"/v1/realtime": opener}, port=8080)
    await front.start()
    ...
    await front.close(10)

An `Opener` decides about a WebSocket while its client waits for the answer to the handshake: it returns `Opened`, or
raises `Refused`. The audio of calls goes between the socket and the handler without a task, a queue or an await.
"""

from __future__ import annotations

from voxengine.gateway.server.front import Front
from voxengine.gateway.server.opening import Opened, Opener
from voxengine.gateway.server.socket import ServerSocket, SocketLimits
from voxengine.net.http1 import Request

__all__ = ["Front", "Opened", "Opener", "Request", "ServerSocket", "SocketLimits"]
