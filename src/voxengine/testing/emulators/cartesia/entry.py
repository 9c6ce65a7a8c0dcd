"""What stands here; see `voxengine.testing.emulators.catalogue`."""

from voxengine.testing.emulators.catalogue import Entry

ENTRIES = (
    Entry(
        name="tts.cartesia",
        about="Cartesia text to speech",
        make="voxengine.testing.emulators.cartesia:CartesiaEmulator",
        judged_by="the types of the cartesia package",
        needs="cartesia",
        clients=("cartesia",),
    ),
)
