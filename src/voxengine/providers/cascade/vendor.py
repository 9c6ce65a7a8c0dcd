"""What stands here, by name; see `voxengine.providers.manifest`."""

from voxengine.providers.manifest import PartEntry, Vendor

VENDOR = Vendor(
    title="Cascade",
    providers={
        "cascade": "voxengine.providers.cascade:CascadeProvider",
        "local": "voxengine.providers.cascade.local:LocalProvider",
    },
    parts={
        "vad.silero": PartEntry("voxengine.providers.cascade.factories:silero", shared=True),
        "vad.energy": PartEntry("voxengine.providers.cascade.factories:energy"),
        "turn.adaptive": PartEntry("voxengine.providers.cascade.factories:adaptive"),
        "stt.whisper": PartEntry(
            "voxengine.providers.cascade.factories:whisper",
            shared=True,
            settings={"language": "language"},
        ),
        "tts.hibari": PartEntry("voxengine.providers.cascade.factories:hibari", shared=True),
        "brain.scripted": PartEntry("voxengine.providers.cascade.brains.scripted:ScriptedBrain"),
        "brain.openai-chat": PartEntry(
            "voxengine.providers.cascade.brains.openai_chat:OpenAIChatBrain",
            settings={"api_key": "api_key", "max_tokens": "max_response_tokens"},
        ),
        "brain.smollm2": PartEntry(
            "voxengine.providers.cascade.brains.smollm2:SmolLM2Brain", shared=True
        ),
    },
    extras={
        "cascade": "local",
        "local": "local",
        "vad.silero": "local",
        "stt.whisper": "local",
        "tts.hibari": "local",
        "brain.openai-chat": "chat",
        "brain.smollm2": "smollm2",
    },
    about={
        "cascade": "STT, a language model and TTS of your choice, by name",
        "local": "Silero VAD, Whisper tiny.en, a scripted brain and hibari's voice, all on this machine",
        "vad.silero": "Silero VAD",
        "vad.energy": "loudness",
        "turn.adaptive": "a silence that adapts to the speaker and to the words",
        "stt.whisper": "Whisper by faster-whisper, on this machine",
        "tts.hibari": "hibari (Kokoro), on this machine",
        "brain.scripted": "answers by a script, no model",
        "brain.openai-chat": "any OpenAI-compatible chat endpoint",
        "brain.smollm2": "SmolLM2, on this machine",
    },
)
