"""What stands here, by name; see `voxengine.providers.manifest`."""

from voxengine.providers.manifest import PartEntry, Vendor

VENDOR = Vendor(
    title="Google Gemini",
    providers={"gemini": "voxengine.providers.gemini.provider:GeminiProvider"},
    parts={"brain.gemini": PartEntry("voxengine.providers.gemini.llm:GeminiBrain", shared=True)},
    voices={"gemini": "voxengine.providers.gemini.voices:VOICES"},
    extras={"brain.gemini": "google"},
    about={
        "gemini": "Gemini Live, also on Vertex AI",
        "brain.gemini": "Gemini's text models",
    },
)
