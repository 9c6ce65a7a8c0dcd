"""What the sessions of both services have in common: frames instead of JSON, judged in both directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from voxengine.testing.emulators.azure_speech.usp import pack, unpack
from voxengine.testing.emulators.vendor_session import MAX_EVENTS, VendorSession
from voxengine.testing.oracles.azure_speech import Frame

__all__ = ["TICKS", "SpeechSession"]

#: Units of the places in the audio in a millisecond.
TICKS = 10_000


class SpeechSession(VendorSession):
    """One session. `frames` are the client's, without those of audio."""

    def opened(self) -> None:
        """The client speaks first."""
        self.frames: list[Frame] = []
        #: Of the client's present request.
        self.request_id = ""

    def on_message(self, message: str | bytes) -> None:
        """A frame came."""
        self._try(self._frame, message)

    def _frame(self, message: str | bytes) -> None:
        try:
            frame = unpack(message)
        except ValueError as failure:
            self.invalid([str(failure)], message)
            return
        problems = self.emulator.judge.client(frame)
        if problems:
            self.invalid(problems, frame)
            return
        if frame.path != "audio" and len(self.frames) < MAX_EVENTS:
            self.frames.append(frame)
        self.request_id = frame.headers.get("X-RequestId", self.request_id)
        self.taken(frame)

    def taken(self, frame: Frame) -> None:
        """A valid frame of the client."""

    def invalid(self, problems: Sequence[str], message: Any) -> None:
        """What makes no sense ends the connection."""
        self.end(1007, problems[0])

    def say(
        self,
        path: str,
        body: dict[str, Any] | bytes,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send a frame of the present request, judged."""
        frame = Frame(path, {"X-RequestId": self.request_id, **(headers or {})}, body)
        for problem in self.emulator.judge.server(frame):
            self.emulator.violated(f"{path}: {problem}")
        if self._out is not None:
            self._out.pass_on(pack(frame), path)

    def of_path(self, path: str) -> list[Frame]:
        """The client's frames of one path."""
        return [frame for frame in self.frames if frame.path == path]

    def begin_turn(self) -> None:
        """The request is taken."""
        self.say("turn.start", {"context": {"serviceTag": self.id}})
