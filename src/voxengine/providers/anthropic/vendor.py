"""What stands here, by name; see `voxengine.providers.manifest`."""

from voxengine.providers.manifest import PartEntry, Vendor

VENDOR = Vendor(
    title="Anthropic",
    parts={
        # One for all sessions with the same options, so that they share connections.
        "brain.anthropic": PartEntry(
            "voxengine.providers.anthropic.llm:AnthropicBrain",
            shared=True,
            settings={"max_tokens": "max_response_tokens"},
        )
    },
    extras={"brain.anthropic": "anthropic"},
    about={"brain.anthropic": "Claude, with tools and prompt caching"},
)
