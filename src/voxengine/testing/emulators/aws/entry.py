"""What is emulated here; see `voxengine.testing.emulators.catalogue`."""

from voxengine.testing.emulators.catalogue import Entry

ENTRIES = (
    Entry(
        name="stt.transcribe",
        about="Amazon Transcribe, streaming",
        make="voxengine.testing.emulators.aws.transcribe:TranscribeEmulator",
        judged_by="the types of the aws-sdk-transcribe-streaming package",
        needs="aws_sdk_transcribe_streaming",
        clients=("aws-sdk-transcribe-streaming",),
    ),
    Entry(
        name="tts.polly",
        about="Amazon Polly",
        make="voxengine.testing.emulators.aws.polly:PollyEmulator",
        judged_by="the service model of the botocore package",
        needs="botocore",
        clients=("botocore",),
    ),
)
