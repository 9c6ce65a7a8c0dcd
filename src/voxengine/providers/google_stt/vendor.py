"""What stands here, by name; see `voxengine.providers.manifest`."""

from voxengine.providers.manifest import PartEntry, Vendor

VENDOR = Vendor(
    title="Google Cloud Speech-to-Text",
    parts={"stt.google": PartEntry("voxengine.providers.google_stt.stt:GoogleSTT", shared=True)},
    extras={"stt.google": "google"},
    about={"stt.google": "Google Cloud Speech-to-Text v2"},
)
