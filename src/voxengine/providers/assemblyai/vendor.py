"""What stands here, by name; see `voxengine.providers.manifest`."""

from voxengine.providers.manifest import PartEntry, Vendor

__all__ = ["VENDOR"]

VENDOR = Vendor(
    title="AssemblyAI",
    providers={"assemblyai": "voxengine.providers.assemblyai:AssemblyAIProvider"},
    parts={"stt.assemblyai": PartEntry("voxengine.providers.assemblyai.stt:make")},
    voices={"assemblyai": "voxengine.providers.assemblyai.voices:VOICES"},
    about={
        "assemblyai": "AssemblyAI Voice Agent",
        "stt.assemblyai": "AssemblyAI Universal-Streaming, which finds turns; assemblyai/MODEL names the model",
    },
)
