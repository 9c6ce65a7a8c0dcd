"""What a fault does to a session."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from voxengine.providers.mock.faults import Drop, ErrorOnce, Slow, Stall
from voxengine.realtime.errors import Complaint
from voxengine.testing.emulators.faults import (
    Expire,
    Lag,
    LateAudio,
    Malformed,
    Oversized,
    UnknownEvent,
)

if TYPE_CHECKING:
    from voxengine.testing.emulators.openai.session import Session

__all__ = ["strike"]


def strike(session: Session, fault: Any) -> None:
    """Let a fault do its work, now."""
    match fault:
        case Drop(close_code=code, reason=reason):
            session.close(1006 if code is None else code, reason)
        case Expire(close_code=code):
            minutes = round(session.settings.dialect.max_session_s / 60)
            text = f"Your session hit the maximum duration of {minutes} minutes."
            session.send(Complaint(text, "session_expired").event(None))
            session.close(code, "session expired")
        case ErrorOnce(code=code, message=message):
            if not session.responder.fail(code, message):
                session.send(Complaint(message, code, kind="server_error").event(None))
        case Slow(factor=factor):
            session.responder.slowness *= factor
        case LateAudio():
            session.responder.late_audio = True
        case _:
            _strike_the_wire(session, fault)


def _strike_the_wire(session: Session, fault: Any) -> None:
    match fault:
        case Stall(seconds=seconds):
            session.outbox.stall(seconds)
        case Lag(seconds=seconds):
            session.outbox.lag(seconds)
        case Oversized(n_bytes=n_bytes):
            session.outbox.oversized(n_bytes)
        case UnknownEvent(event_type=kind):
            event = {"type": kind, "event_id": f"event_{kind}", "mood": "sunny"}
            session.outbox.send_raw(json.dumps(event))
        case Malformed(text=text):
            session.outbox.send_raw(text)
