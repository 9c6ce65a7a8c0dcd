"""What this folder offers."""

from voxengine.providers.manifest import PartEntry, Vendor

__all__ = ["VENDOR"]

VENDOR = Vendor(
    title="ElevenLabs",
    providers={"elevenlabs": "voxengine.providers.elevenlabs:ElevenLabsProvider"},
    parts={
        "stt.elevenlabs": PartEntry("voxengine.providers.elevenlabs.stt:make_stt"),
        "tts.elevenlabs": PartEntry("voxengine.providers.elevenlabs.tts:make_tts"),
    },
    voices={"elevenlabs": "voxengine.providers.elevenlabs.voices:VOICES"},
    # The address of an agent that is not public is asked for by a request.
    extras={"elevenlabs": "chat"},
    about={
        "elevenlabs": "ElevenLabs Agents",
        "stt.elevenlabs": "Scribe, in real time",
        "tts.elevenlabs": "Flash and the other voices, which say where their words are",
    },
)
