"""What stands here; see `voxengine.testing.emulators.catalogue`."""

from voxengine.testing.emulators.catalogue import Entry

_MAKE = "voxengine.testing.emulators.azure_speech:AzureSpeechEmulator"
_SHAPE = "documented shape"

ENTRIES = (
    Entry(
        name="stt.azure",
        about="Azure Speech to text",
        make=_MAKE,
        judged_by=_SHAPE,
        clients=("azure-cognitiveservices-speech",),
    ),
    Entry(
        name="tts.azure",
        about="Azure text to speech",
        make=_MAKE,
        judged_by=_SHAPE,
        clients=("azure-cognitiveservices-speech",),
    ),
)
