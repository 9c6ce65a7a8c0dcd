"""What this folder offers."""

from voxengine.providers.manifest import PartEntry, Vendor

__all__ = ["VENDOR"]

VENDOR = Vendor(
    title="Deepgram",
    providers={"deepgram": "voxengine.providers.deepgram:DeepgramProvider"},
    parts={
        "stt.deepgram": PartEntry("voxengine.providers.deepgram.stt:make_stt"),
        "tts.deepgram": PartEntry("voxengine.providers.deepgram.tts:make_tts"),
    },
    voices={"deepgram": "voxengine.providers.deepgram.voices:VOICES"},
    about={
        "deepgram": "Deepgram Voice Agent",
        "stt.deepgram": "Flux, which finds turns, and Nova",
        "tts.deepgram": "Aura, and Flux, which says what was heard",
    },
)
