"""Who finds the user's turns: the provider where it can do it as the client wants, else the gateway's own ear.

Pure: from a session's settings and a provider's capabilities to a plan.
"""

from __future__ import annotations

from typing import Any

import msgspec

from voxengine.gateway.wire.settings import Settings, unsupported
from voxengine.providers.capabilities import Capabilities
from voxengine.realtime.errors import Complaint

__all__ = ["Plan", "plan_turns"]


#: What the gateway's own ear goes by.
_EAR = frozenset({"threshold", "prefix_padding_ms", "silence_duration_ms", "eagerness"})


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How the turns of one session are made."""

    #: The provider's turn detection, by its kind; "none" where it does not listen for turns.
    detection: str | None = "none"
    #: Settings of it, in OpenAI's names.
    options: dict[str, Any] = {}
    #: Whether the provider, and the engine, answer a turn that it has found, and stop for the user's speech.
    answers: bool = True
    interrupts: bool = True
    #: The gateway listens by itself.
    own_ear: bool = False
    #: Audio is kept back: until the turn is committed, or, where the provider knows no commit, until an answer is asked
    #: for; then silence is sent after it, by which the provider finds the turn.
    held: bool = False
    commits: bool = True
    #: Why turns cannot be made at all.
    missing: str = ""
    #: What of the client's wishes is not done.
    refused: tuple[Complaint, ...] = ()

    def for_engine(self) -> dict[str, Any]:
        """The settings of the engine that it needs."""
        return {
            "turn_detection": self.detection,
            "turn_options": self.options,
            "auto_response": self.answers,
            "interruptions": self.interrupts,
        }


def plan_turns(settings: Settings, can: Capabilities) -> Plan:
    """How a provider of these capabilities makes the turns that the settings want."""
    kinds = [kind for kind in can.turn_detection if kind != "none"]
    vad = settings.turn_detection
    if vad is None:
        return _by_hand(can, bool(kinds), ())
    kind = _kind(str(vad["type"]), kinds)
    options = settings.asked_of_turns
    if kind is not None and _does(settings, can):
        known = _known(kind, options, can)
        if len(known) == len(options) or not can.commit:
            left = tuple(_no_option(name) for name in options if name not in known)
            return Plan(
                detection=kind,
                options=known,
                answers=settings.answers or not can.answers or not _listens(can),
                interrupts=settings.interrupts,
                refused=left,
            )
    left = tuple(_no_option(name) for name in options if name not in _EAR)
    return _by_hand(can, bool(kinds), left, own_ear=True)


def _by_hand(
    can: Capabilities, detects: bool, refused: tuple[Complaint, ...], *, own_ear: bool = False
) -> Plan:
    """Turns are ended by the client, or by the gateway's own ear."""
    if can.commit:
        return Plan(own_ear=own_ear, held=not can.clear, refused=refused)
    if detects:
        return Plan(detection=None, own_ear=own_ear, held=True, commits=False, refused=refused)
    return Plan(missing="this provider takes no speech, only texts", refused=refused)


def _kind(wanted: str, kinds: list[Any]) -> str | None:
    """The kind of detection that comes nearest."""
    if wanted in kinds:
        return wanted
    for near in ("semantic_vad", "client", "server_vad"):
        if near in kinds:
            return near
    return None


def _does(settings: Settings, can: Capabilities) -> bool:
    """Whether it answers, interrupts and tells as the client wants it."""
    if not can.answers:
        return True
    if not settings.answers and not _listens(can):
        # What it answers to somebody who only wants to know what was said is called off.
        return settings.kind == "transcription" and not can.commit
    return settings.interrupts or can.interruptions_optional


def _listens(can: Capabilities) -> bool:
    """Whether it can hear a turn and be silent."""
    return can.auto_response_optional or not can.auto_response


def _known(kind: str, options: dict[str, Any], can: Capabilities) -> dict[str, Any]:
    takes = set(can.turn_options) - ({"eagerness"} if kind != "semantic_vad" else set())
    return {name: value for name, value in options.items() if name in takes}


def _no_option(name: str) -> Complaint:
    return unsupported(f"audio.input.turn_detection.{name}", f"{name} of its turn detection")
