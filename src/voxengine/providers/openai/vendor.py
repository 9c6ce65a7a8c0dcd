"""What stands here, by name; see `voxengine.providers.manifest`."""

from voxengine.providers.manifest import PartEntry, Vendor

VENDOR = Vendor(
    title="OpenAI, and what speaks its protocol",
    providers={
        "openai": "voxengine.providers.openai:OpenAIProvider",
        "azure": "voxengine.providers.openai:AzureProvider",
        "xai": "voxengine.providers.openai:XAIProvider",
        "custom": "voxengine.providers.openai:CustomProvider",
    },
    parts={
        "brain.openai": PartEntry(
            "voxengine.providers.openai.llm:make",
            settings={"api_key": "api_key", "max_tokens": "max_response_tokens"},
        )
    },
    extras={"brain.openai": "chat"},
    about={
        "brain.openai": "OpenAI's text models",
        "openai": "OpenAI Realtime (GA)",
        "azure": "OpenAI's models on Azure",
        "xai": "xAI Grok Voice",
        "custom": "any endpoint that speaks OpenAI's protocol",
    },
)
