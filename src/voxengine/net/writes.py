"""What waits while the socket takes nothing: one queue, in which audio and control keep their order.

Policy: audio above its limit is dropped, oldest first, and counted; the newest message is always kept. Control is never
dropped; it has a limit of its own, at which the peer counts as gone.
"""

from __future__ import annotations

from collections import deque

__all__ = ["WriteQueue"]


class WriteQueue:
    """Messages with their kind (the frame's opcode), to be taken in the order in which they were put in.

    Limits are bytes of messages as they go out, not of the audio within them.
    """

    __slots__ = (
        "_audio",
        "_audio_limit",
        "_control",
        "_control_limit",
        "_next",
        "audio_bytes",
        "control_bytes",
        "dropped_audio",
        "dropped_chunks",
    )

    def __init__(self, audio_limit: int, control_limit: int) -> None:
        # Two queues with numbers that tell which is first: so the oldest audio is found at once.
        self._audio: deque[tuple[int, int, bytes, int]] = deque()
        self._control: deque[tuple[int, int, bytes]] = deque()
        self._audio_limit = audio_limit
        self._control_limit = control_limit
        self._next = 0
        #: Bytes of audio messages that wait.
        self.audio_bytes = 0
        #: Bytes of control messages that wait.
        self.control_bytes = 0
        #: Audio messages that were dropped since `take_dropped`.
        self.dropped_chunks = 0
        #: Bytes of audio in them, as the sender counted them.
        self.dropped_audio = 0

    def __len__(self) -> int:
        return len(self._audio) + len(self._control)

    def put_audio(self, kind: int, message: bytes, n_bytes: int) -> None:
        """Add a message that holds `n_bytes` of audio; older audio may be dropped for it."""
        self._audio.append((self._next, kind, message, n_bytes))
        self._next += 1
        self.audio_bytes += len(message)
        while self.audio_bytes > self._audio_limit and len(self._audio) > 1:
            _, _, old, audio = self._audio.popleft()
            self.audio_bytes -= len(old)
            self.dropped_chunks += 1
            self.dropped_audio += audio

    def put_control(self, kind: int, message: bytes) -> bool:
        """Add a message that must not be lost. False: it does not fit, and was not added."""
        if self.control_bytes + len(message) > self._control_limit:
            return False
        self._control.append((self._next, kind, message))
        self._next += 1
        self.control_bytes += len(message)
        return True

    def pop(self) -> tuple[int, bytes]:
        """The message that has waited longest, with its kind.

        Raises:
            IndexError: the queue is empty.
        """
        if self._audio and (not self._control or self._audio[0][0] < self._control[0][0]):
            _, kind, message, _ = self._audio.popleft()
            self.audio_bytes -= len(message)
        else:
            _, kind, message = self._control.popleft()
            self.control_bytes -= len(message)
        return kind, message

    def clear(self) -> None:
        """Let go of what waits. It does not count as dropped: there is no connection any more."""
        self._audio.clear()
        self._control.clear()
        self.audio_bytes = self.control_bytes = 0

    def take_dropped(self) -> tuple[int, int]:
        """Messages, and bytes of audio, that were dropped since this was last asked."""
        dropped = self.dropped_chunks, self.dropped_audio
        self.dropped_chunks = self.dropped_audio = 0
        return dropped
