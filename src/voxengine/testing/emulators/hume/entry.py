"""What stands here; see `voxengine.testing.emulators.catalogue`."""

from voxengine.testing.emulators.catalogue import Entry

ENTRIES = (
    Entry(
        name="hume",
        about="Hume EVI",
        make="voxengine.testing.emulators.hume:HumeEmulator",
        judged_by="the types of the hume package",
        needs="hume",
        judge="voxengine.testing.oracles.hume:evi_judge",
        clients=("hume",),
    ),
)
