"""What this folder offers."""

from voxengine.providers.manifest import Vendor

__all__ = ["VENDOR"]

VENDOR = Vendor(
    title="Hume",
    providers={"hume": "voxengine.providers.hume:HumeProvider"},
    about={"hume": "Hume EVI (Empathic Voice Interface)"},
)
