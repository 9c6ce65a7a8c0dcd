"""What is emulated here; see `voxengine.testing.emulators.catalogue`."""

from voxengine.testing.emulators.catalogue import Entry

ENTRIES = (
    Entry(
        name="nova",
        about="Amazon Nova Sonic",
        make="voxengine.testing.emulators.nova:NovaEmulator",
        judged_by="documented shape (the envelope: aws-sdk-bedrock-runtime)",
        needs="aws_sdk_bedrock_runtime",
        judge="voxengine.testing.oracles.nova:nova_judge",
        clients=("aws-sdk-bedrock-runtime",),
    ),
)
