"""What stands here, by name; see `voxengine.providers.manifest`."""

from voxengine.providers.manifest import Vendor

VENDOR = Vendor(
    title="OpenAI, and what speaks its protocol",
    providers={
        "openai": "voxengine.providers.openai:OpenAIProvider",
        "azure": "voxengine.providers.openai:AzureProvider",
        "xai": "voxengine.providers.openai:XAIProvider",
        "custom": "voxengine.providers.openai:CustomProvider",
    },
    about={
        "openai": "OpenAI Realtime (GA)",
        "azure": "OpenAI's models on Azure",
        "xai": "xAI Grok Voice",
        "custom": "any endpoint that speaks OpenAI's protocol",
    },
)
