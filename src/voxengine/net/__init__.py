"""The WebSocket client of all networked providers.

`connect_websocket` opens a connection; what comes is given to callbacks, on the event loop and in order, from within
the read of the socket. What is sent goes straight to the socket while it takes it, and into one bounded queue while it
does not. The frames are made and read by picows, which is imported with the first connection.
"""

from __future__ import annotations

from voxengine.net.connect import connect_websocket
from voxengine.net.websocket import BINARY, TEXT, Closed, WebSocket

__all__ = ["BINARY", "TEXT", "Closed", "WebSocket", "connect_websocket"]
