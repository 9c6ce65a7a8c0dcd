"""What stands here, by name; see `voxengine.providers.manifest`."""

from voxengine.providers.manifest import Vendor

VENDOR = Vendor(
    title="OpenAI Live",
    providers={"openai-live": "voxengine.providers.openai_live:OpenAILiveProvider"},
    about={"openai-live": "OpenAI Live, full duplex"},
)
