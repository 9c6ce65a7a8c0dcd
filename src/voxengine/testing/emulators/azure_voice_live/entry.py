"""What stands here; see `voxengine.testing.emulators.catalogue`."""

from voxengine.testing.emulators.catalogue import Entry

ENTRIES = (
    Entry(
        name="azure-voice-live",
        about="Azure Voice Live",
        make="voxengine.testing.emulators.azure_voice_live:VoiceLiveEmulator",
        judged_by="the models of the azure-ai-voicelive package",
        needs="azure.ai.voicelive",
        judge="voxengine.testing.oracles.azure_voice_live:voice_live_judge",
        scenario="voxengine.testing.emulators.azure_voice_live.stand:scenario",
        clients=("azure-ai-voicelive",),
    ),
)
