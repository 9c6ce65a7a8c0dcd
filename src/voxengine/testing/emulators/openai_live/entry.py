"""What stands here; see `voxengine.testing.emulators.catalogue`."""

from voxengine.testing.emulators.catalogue import Entry

ENTRIES = (
    Entry(
        name="openai-live",
        about="OpenAI Live",
        make="voxengine.testing.emulators.openai_live.stand:make",
        judged_by="the types of the openai package",
        needs="openai",
        judge="voxengine.testing.oracles.openai_live:live_judge",
        scenario="voxengine.testing.emulators.openai_live.stand:scenario",
        stand="voxengine.testing.emulators.openai_live.stand:stand",
        clients=("openai",),
    ),
)
