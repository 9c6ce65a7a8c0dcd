"""What stands here; see `voxengine.testing.emulators.catalogue`."""

from voxengine.testing.emulators.catalogue import Entry

ENTRIES = (
    Entry(
        name="brain.anthropic",
        about="Anthropic's Messages API",
        make="voxengine.testing.emulators.anthropic:AnthropicEmulator",
        judged_by="the types of the anthropic package",
        needs="anthropic",
        clients=("anthropic",),
    ),
)
