"""What this folder offers."""

from voxengine.providers.manifest import Vendor

__all__ = ["VENDOR"]

VENDOR = Vendor(
    title="Ultravox",
    providers={"ultravox": "voxengine.providers.ultravox:UltravoxProvider"},
    voices={"ultravox": "voxengine.providers.ultravox.voices:VOICES"},
    # A call is created by a request before it is joined.
    extras={"ultravox": "chat"},
    about={"ultravox": "Ultravox Realtime"},
)
