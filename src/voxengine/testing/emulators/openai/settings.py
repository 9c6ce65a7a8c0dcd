"""The session's settings, as the emulated vendor keeps them."""

from __future__ import annotations

from voxengine.audio.formats import AudioFormat
from voxengine.audio.wire_formats import format_of
from voxengine.realtime.settings import SessionSettings
from voxengine.testing.emulators.openai.dialects import Dialect

__all__ = ["Settings"]


class Settings(SessionSettings):
    """Those of one session of a dialect. `kind` is "realtime" or "transcription"."""

    def __init__(
        self, dialect: Dialect, kind: str, model: str, session_id: str, expires_at: int
    ) -> None:
        super().__init__(dialect, kind, model, session_id, expires_at)
        self.dialect = dialect

    @property
    def input_format(self) -> AudioFormat:
        """The format of the input."""
        return format_of(self.input["format"])
