"""What stands here, by name; see `voxengine.testing.emulators.catalogue`."""

from voxengine.testing.emulators.catalogue import Entry

ENTRIES = (
    Entry(
        name="gemini",
        about="Gemini Live and the text models",
        make="voxengine.testing.emulators.gemini:GeminiEmulator",
        judged_by="the types of google-genai and google-ai-generativelanguage",
        needs="google.ai.generativelanguage_v1beta",
        judge="voxengine.testing.oracles.gemini:gemini_judge",
        scenario="voxengine.testing.emulators.gemini.scenario:scenario",
        clients=("google-genai",),
    ),
)
