"""What stands here, by name; see `voxengine.testing.emulators.catalogue`."""

from voxengine.testing.emulators.catalogue import Entry

ENTRIES = (
    Entry(
        name="stt.google",
        about="Google Cloud Speech-to-Text v2",
        make="voxengine.testing.emulators.google_stt:GoogleSTTEmulator",
        judged_by="the protocol buffers of google-cloud-speech",
        needs="google.cloud.speech_v2",
        clients=("google-cloud-speech",),
    ),
)
