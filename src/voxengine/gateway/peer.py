"""The other side of a call, whatever carries its messages."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Peer", "PeerHandler"]


class Peer(Protocol):
    """A client that takes messages: a WebSocket, or the data channel of a WebRTC connection."""

    def send(self, message: bytes) -> None:
        """Send one text message (UTF-8). Without effect when the client is gone.

        It never waits. What a client does not read is bounded: one that lets too much pile up is cut off.
        """

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Say good-bye. What was sent before still arrives."""


class PeerHandler(Protocol):
    """Who is told of what a client sends. All is called on the event loop."""

    def on_open(self, peer: Peer) -> None:
        """Messages can be sent from now on."""

    def on_message(self, message: memoryview | bytes) -> None:
        """A whole text message; a view is valid only during the call."""

    def on_close(self, code: int, reason: str) -> None:
        """The client is gone. 1005: without a code; 1006: without a word. Called once."""
