"""The types of events, by name."""

from enum import StrEnum

__all__ = ["EventType"]


class EventType(StrEnum):
    """The types of events. The value is the short name that may be used as a string."""

    CONNECTION_STARTING = "connection_starting"
    CONNECTION_ESTABLISHED = "connection_established"
    CONNECTION_FAILED = "connection_failed"
    CONNECTION_LOST = "connection_lost"
    CONNECTION_CLOSED = "connection_closed"
    CONNECTION_RECONNECTING = "connection_reconnecting"
    CONNECTION_RESTORED = "connection_restored"
    CONNECTION_EXPIRING = "connection_expiring"
    PROVIDER_SWITCHED = "provider_switched"

    SESSION_UPDATED = "session_updated"
    STATE_CHANGED = "state_changed"

    AUDIO_OUTPUT_STARTED = "audio_output_started"
    AUDIO_OUTPUT_CHUNK = "audio_chunk"
    AUDIO_OUTPUT_STOPPED = "audio_output_stopped"
    AUDIO_DROPPED = "audio_dropped"

    TEXT_INPUT = "text_input"
    TEXT_OUTPUT = "text_chunk"
    TRANSCRIPT_PARTIAL = "transcript_partial"
    TRANSCRIPT_COMPLETED = "transcript_completed"
    TRANSCRIPT_FAILED = "transcript_failed"
    EMOTION_DETECTED = "emotion_detected"

    VAD_SPEECH_STARTED = "vad_speech_started"
    VAD_SPEECH_ENDED = "vad_speech_ended"

    CONVERSATION_STARTED = "conversation_started"
    CONVERSATION_TURN_DETECTED = "conversation_turn_detected"
    CONVERSATION_INTERRUPTED = "conversation_interrupted"
    CONVERSATION_UPDATED = "conversation_updated"
    CONVERSATION_ENDED = "conversation_ended"

    RESPONSE_STARTED = "response_started"
    RESPONSE_COMPLETED = "response_completed"
    RESPONSE_CANCELLED = "response_cancelled"
    RESPONSE_ERROR = "response_error"

    CONTEXT_INJECTED = "context_injected"

    FUNCTION_INVOKED = "function_invoked"
    FUNCTION_COMPLETED = "function_completed"
    FUNCTION_FAILED = "function_failed"
    FUNCTION_CANCELLED = "function_cancelled"

    USAGE_UPDATED = "usage_updated"
    COST_UPDATED = "cost_updated"
    LIMIT_REACHED = "limit_reached"
    RATE_LIMITS_UPDATED = "rate_limits_updated"
    METRICS_UPDATED = "metrics_updated"
    TIMING_STAGE = "timing_stage"

    SYSTEM_WARNING = "warning"
    ERROR_GENERAL = "error"
    RAW = "raw"
