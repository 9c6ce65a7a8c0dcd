"""What stands here; see `voxengine.testing.emulators.catalogue`."""

from voxengine.testing.emulators.catalogue import Entry

ENTRIES = (
    Entry(
        name="stt.openai",
        about="OpenAI Realtime, transcription sessions",
        make="voxengine.testing.emulators.openai.stand:make_openai",
        judged_by="the types of the openai package",
        needs="openai",
        clients=("openai",),
    ),
    Entry(
        name="tts.openai",
        about="OpenAI text to speech",
        make="voxengine.testing.emulators.openai_speech:SpeechEmulator",
        judged_by="the types of the openai package",
        needs="openai",
        clients=("openai",),
    ),
)
