"""Audio of calls, written to disk while they last."""

from voxengine.gateway.recording.files import Recordings
from voxengine.gateway.recording.recording import Form, Recording

__all__ = ["Form", "Recording", "Recordings"]
