"""What stands here, by name; see `voxengine.providers.manifest`."""

from voxengine.providers.manifest import Vendor

VENDOR = Vendor(
    title="Amazon Nova Sonic",
    providers={"nova": "voxengine.providers.nova:NovaProvider"},
    voices={"nova": "voxengine.providers.nova.voices:VOICES"},
    extras={"nova": "aws"},
    about={"nova": "Amazon Nova Sonic on Bedrock (Python 3.12 or newer)"},
)
