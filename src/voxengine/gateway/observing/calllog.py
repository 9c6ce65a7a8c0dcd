"""The log of a call: one record for each event of note, with the call, its route and the provider as fields.

No words of anybody are in it, unless the configuration says so.
"""

from __future__ import annotations

import logging
from typing import Any

from voxengine import events as ev
from voxengine.conversation import Item
from voxengine.gateway.call import Call
from voxengine.observe.logs import fields

__all__ = ["CallLog"]

logger = logging.getLogger("voxengine.gateway.calls")

#: Which figures of an event are told, and at which level. What is not listed here is not of note.
_NOTED: dict[type[ev.ProviderEvent], tuple[int, tuple[str, ...]]] = {
    ev.ConnectionLost: (logging.WARNING, ("code", "close_code", "retryable")),
    ev.ConnectionReconnecting: (logging.INFO, ("attempt", "delay_s", "code")),
    ev.ConnectionRestored: (logging.INFO, ("reason", "attempts", "outage_ms", "audio_lost_ms")),
    ev.ConnectionExpiring: (logging.INFO, ("seconds_left",)),
    ev.ProviderSwitched: (logging.INFO, ("previous", "reason", "code", "outage_ms")),
    ev.AudioDropped: (logging.WARNING, ("direction", "audio_ms", "reason")),
    ev.ConversationInterrupted: (logging.DEBUG, ("heard_ms", "reason")),
    ev.ContextInjected: (logging.INFO, ("injection_id", "status", "degraded_to", "reason")),
    ev.ResponseCompleted: (logging.DEBUG, ("status", "reason")),
    ev.ResponseCancelled: (logging.DEBUG, ("reason",)),
    ev.ResponseError: (logging.WARNING, ("code", "retryable")),
    ev.FunctionInvoked: (logging.DEBUG, ("name", "call_id")),
    ev.FunctionCompleted: (logging.INFO, ("name", "call_id", "duration_ms")),
    ev.FunctionFailed: (logging.WARNING, ("name", "call_id", "code", "duration_ms")),
    ev.FunctionCancelled: (logging.INFO, ("name", "call_id", "reason")),
    ev.TranscriptFailed: (logging.WARNING, ("item_id",)),
    ev.LimitReached: (logging.INFO, ("limit", "used", "maximum", "action")),
    ev.MetricsUpdated: (
        logging.INFO,
        (
            "turn_decided_ms",
            "transcript_ms",
            "first_token_ms",
            "first_audio_ms",
            "first_audible_ms",
        ),
    ),
    ev.SystemWarning: (logging.WARNING, ("code",)),
    ev.ErrorGeneral: (logging.ERROR, ("code", "recoverable")),
}


class CallLog:
    """Writes the log of one call, until it ends.

    Args:
        call: the call, whose engine is connected.
        transcripts: whether what is said is logged as well.
    """

    def __init__(self, call: Call, *, transcripts: bool) -> None:
        self._call = call
        #: Items of the assistant whose words were logged.
        self._logged: set[str] = set()
        for kind, (level, names) in _NOTED.items():
            if logger.isEnabledFor(level):
                call.engine.on((kind,), _Line(call, level, names))
        if transcripts:
            call.engine.on((ev.TranscriptCompleted, ev.TextInput), self._said)
            call.engine.on((ev.ConversationUpdated,), self._answered)

    def _said(self, event: ev.TranscriptCompleted | ev.TextInput) -> None:
        self._words(event, event.role if isinstance(event, ev.TextInput) else "user", event.text)

    def _answered(self, event: ev.ConversationUpdated) -> None:
        item: Item = event.item
        if (
            item.role == "assistant"
            and item.kind == "message"
            and item.status != "in_progress"
            and event.action != "removed"
            and item.id not in self._logged
        ):
            self._logged.add(item.id)
            self._words(event, "assistant", item.text)

    def _words(self, event: ev.ProviderEvent, role: str, text: str) -> None:
        values = {"role": role, "text": text}
        logger.info(
            "%s: %s: %s", self._call.id, role, text, extra=_extra(self._call, event, values)
        )


class _Line:
    """Logs the events of one type."""

    __slots__ = ("_call", "_level", "_names")

    def __init__(self, call: Call, level: int, names: tuple[str, ...]) -> None:
        self._call = call
        self._level = level
        self._names = names

    def __call__(self, event: ev.ProviderEvent) -> None:
        values = {
            name: value
            for name in self._names
            if (value := getattr(event, name)) is not None and value != ""
        }
        shown = " ".join(f"{name}={value}" for name, value in values.items())
        logger.log(
            self._level,
            "%s: %s %s%s",
            self._call.id,
            event.type,
            shown,
            f" ({event.provider})" if event.provider else "",
            extra=_extra(self._call, event, values),
        )


def _extra(call: Call, event: ev.ProviderEvent, values: dict[str, Any]) -> dict[str, Any]:
    return fields(
        call=call.id,
        route=call.route.name,
        provider=event.provider,
        event=str(event.type),
        **{
            f"{n}_" if n in ("call", "route", "provider", "event") else n: v
            for n, v in values.items()
        },
    )
