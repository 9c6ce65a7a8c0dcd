"""What stands here; see `voxengine.testing.emulators.catalogue`."""

from voxengine.testing.emulators.catalogue import Entry

_TYPES = "the types of the elevenlabs package"

ENTRIES = (
    Entry(
        name="elevenlabs",
        about="ElevenLabs Agents",
        make="voxengine.testing.emulators.elevenlabs:ElevenLabsEmulator",
        judged_by="documented shape, which the tests hold against the types of @elevenlabs/types",
        judge="voxengine.testing.oracles.elevenlabs:agents_judge",
        clients=("elevenlabs",),
    ),
    Entry(
        name="stt.elevenlabs",
        about="ElevenLabs Scribe, in real time",
        make="voxengine.testing.emulators.elevenlabs:ScribeEmulator",
        judged_by=_TYPES,
        needs="elevenlabs",
        clients=("elevenlabs",),
    ),
    Entry(
        name="tts.elevenlabs",
        about="ElevenLabs text to speech, from words as they come",
        make="voxengine.testing.emulators.elevenlabs:SpeechEmulator",
        judged_by=_TYPES,
        needs="elevenlabs",
        clients=("elevenlabs",),
    ),
)
