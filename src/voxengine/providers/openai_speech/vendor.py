"""What stands here, by name; see `voxengine.providers.manifest`."""

from voxengine.providers.manifest import PartEntry, Vendor

VENDOR = Vendor(
    title="OpenAI, speech",
    parts={
        "stt.openai": PartEntry("voxengine.providers.openai_speech.stt:make"),
        "tts.openai": PartEntry("voxengine.providers.openai_speech.tts:make"),
    },
    voices={"tts.openai": "voxengine.providers.openai_speech.tts:VOICES"},
    extras={"tts.openai": "chat"},
    about={
        "stt.openai": "OpenAI, transcription sessions of the Realtime API; openai/MODEL names the model",
        "tts.openai": "OpenAI, text to speech, sentence by sentence; openai/MODEL names the model",
    },
)
