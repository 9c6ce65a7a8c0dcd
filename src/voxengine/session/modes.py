"""What a mode keeps from the application."""

from voxengine.events import EventType

__all__ = ["HIDDEN"]

#: Types of events that a mode keeps from the application. `fast` is the least work; `provider` adds nothing of ours.
HIDDEN: dict[str, frozenset[str]] = {
    "fast": frozenset(
        {
            EventType.TRANSCRIPT_PARTIAL,
            EventType.TRANSCRIPT_COMPLETED,
            EventType.TRANSCRIPT_FAILED,
            EventType.EMOTION_DETECTED,
            EventType.VAD_SPEECH_STARTED,
            EventType.VAD_SPEECH_ENDED,
            EventType.CONVERSATION_UPDATED,
            EventType.METRICS_UPDATED,
            EventType.TIMING_STAGE,
            EventType.RAW,
        }
    ),
    "big": frozenset(),
    "provider": frozenset({EventType.CONVERSATION_UPDATED, EventType.METRICS_UPDATED}),
}
