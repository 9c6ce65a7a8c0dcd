"""What stands here; see `voxengine.testing.emulators.catalogue`."""

from voxengine.testing.emulators.catalogue import Entry

ENTRIES = (
    Entry(
        name="ultravox",
        about="Ultravox Realtime",
        make="voxengine.testing.emulators.ultravox:UltravoxEmulator",
        judged_by="documented shape",
        judge="voxengine.testing.oracles.ultravox:ultravox_judge",
    ),
)
