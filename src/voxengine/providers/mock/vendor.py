"""What stands here, by name; see `voxengine.providers.manifest`."""

from voxengine.providers.manifest import Vendor

VENDOR = Vendor(
    title="Mock",
    providers={"mock": "voxengine.providers.mock:MockProvider"},
    about={"mock": "a scripted provider with faults, exact under a virtual clock"},
)
