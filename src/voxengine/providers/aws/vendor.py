"""What stands here, by name; see `voxengine.providers.manifest`."""

from voxengine.providers.manifest import PartEntry, Vendor

VENDOR = Vendor(
    title="Amazon Web Services",
    parts={
        "stt.transcribe": PartEntry("voxengine.providers.aws.transcribe:make_transcribe"),
        "tts.polly": PartEntry("voxengine.providers.aws.polly:make_polly"),
    },
    voices={"polly": "voxengine.providers.aws.voices:VOICES"},
    extras={"stt.transcribe": "aws", "tts.polly": "aws"},
    about={
        "stt.transcribe": "Amazon Transcribe, streaming (Python 3.12 or newer)",
        "tts.polly": "Amazon Polly, sentence by sentence",
    },
)
