"""What stands here; see `voxengine.testing.emulators.catalogue`."""

from voxengine.testing.emulators.catalogue import Entry

_MAKE = "voxengine.testing.emulators.deepgram:DeepgramEmulator"
_JUDGED_BY = "the types of the deepgram-sdk package"

ENTRIES = (
    Entry(
        name="deepgram",
        about="Deepgram Voice Agent",
        make=_MAKE,
        judged_by=_JUDGED_BY,
        needs="deepgram",
        judge="voxengine.testing.oracles.deepgram:agent_judge",
        clients=("deepgram-sdk",),
    ),
    Entry(
        name="stt.deepgram",
        about="Deepgram's recognition: Flux and Nova",
        make=_MAKE,
        judged_by=_JUDGED_BY,
        needs="deepgram",
        clients=("deepgram-sdk",),
    ),
    Entry(
        name="tts.deepgram",
        about="Deepgram's voices: Aura and Flux",
        make=_MAKE,
        judged_by=_JUDGED_BY,
        needs="deepgram",
        clients=("deepgram-sdk",),
    ),
)
