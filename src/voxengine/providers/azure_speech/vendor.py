"""What stands here, by name; see `voxengine.providers.manifest`."""

from voxengine.providers.manifest import PartEntry, Vendor

VENDOR = Vendor(
    title="Azure Speech",
    parts={
        "stt.azure": PartEntry("voxengine.providers.azure_speech.stt:make"),
        "tts.azure": PartEntry("voxengine.providers.azure_speech.tts:make"),
    },
    voices={"tts.azure": "voxengine.providers.azure_voice_live.voices:STANDARD"},
    extras={"stt.azure": "azure-speech", "tts.azure": "azure-speech"},
    about={
        "stt.azure": "Azure Speech, recognition in real time; azure/de-DE names the language",
        "tts.azure": "Azure Speech, neural voices from streamed text; azure/en-US-AvaNeural names the voice",
    },
)
