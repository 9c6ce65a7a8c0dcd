"""What stands here, by name; see `voxengine.providers.manifest`."""

from voxengine.providers.manifest import PartEntry, Vendor

VENDOR = Vendor(
    title="Cartesia",
    parts={
        "tts.cartesia": PartEntry(
            "voxengine.providers.cartesia.tts:make", settings={"language": "language"}
        )
    },
    voices={"tts.cartesia": "voxengine.providers.cartesia.voices:VOICES"},
    about={"tts.cartesia": "Cartesia Sonic, with the places of its words"},
)
