"""Emulators of AssemblyAI: `AgentEmulator` of the Voice Agent, `StreamingEmulator` of Universal-Streaming."""

from voxengine.testing.emulators.assemblyai.agent import AgentEmulator, AgentSettings
from voxengine.testing.emulators.assemblyai.streaming import StreamingEmulator, StreamingSettings

__all__ = ["AgentEmulator", "AgentSettings", "StreamingEmulator", "StreamingSettings"]
