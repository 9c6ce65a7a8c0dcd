"""Emulators of vendors: real servers on loopback that speak a vendor's wire.

Each judges every message that it gets, and every message that it sends, by the types that the vendor publishes; answers
a bad one as the vendor would; and can be told what goes wrong, and when (`faults`). They run on the event loop's clock,
so a client on the same loop can be tested in virtual time.

    from voxengine.testing.emulators.openai import OpenAIEmulator

    async with OpenAIEmulator(responses={"hello": "Hi there!"}) as emulator:
        ...  # connect to emulator.endpoint

`voxengine emulate openai` runs one for programs in other processes.
"""
