"""What stands here, by name; see `voxengine.providers.manifest`."""

from voxengine.providers.manifest import Vendor

VENDOR = Vendor(
    title="Azure Voice Live",
    providers={"azure-voice-live": "voxengine.providers.azure_voice_live:AzureVoiceLiveProvider"},
    voices={"azure-voice-live": "voxengine.providers.azure_voice_live.voices:VOICES"},
    about={"azure-voice-live": "Azure Voice Live, also with an agent of Foundry"},
)
