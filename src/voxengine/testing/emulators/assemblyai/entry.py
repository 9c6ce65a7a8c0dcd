"""What stands here; see `voxengine.testing.emulators.catalogue`."""

from voxengine.testing.emulators.catalogue import Entry

_PLACE = "voxengine.testing.emulators.assemblyai"

ENTRIES = (
    Entry(
        name="assemblyai",
        about="AssemblyAI Voice Agent",
        make=f"{_PLACE}:AgentEmulator",
        judged_by="documented shape",
        judge="voxengine.testing.oracles.assemblyai:agent_judge",
        scenario=f"{_PLACE}.scenario:scenario",
        stand=f"{_PLACE}.stand:stand",
    ),
    Entry(
        name="stt.assemblyai",
        about="AssemblyAI Universal-Streaming",
        make=f"{_PLACE}:StreamingEmulator",
        judged_by="the types of the assemblyai package",
        needs="assemblyai",
        clients=("assemblyai",),
    ),
)
