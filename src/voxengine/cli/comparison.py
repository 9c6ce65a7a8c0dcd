"""The tables of a document: what each provider can do, and which parts a cascade may be made of.

They are drawn from the capability data, the manifests and the list of emulators, and from nothing else: what is
installed on this machine does not belong into a document.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from voxengine.providers.capabilities import Capabilities
from voxengine.providers.manifest import vendors

__all__ = ["compared", "markdown_table", "parts"]

_YES, _NO = "yes", "–"

_KINDS = {
    "stt": "speech to text",
    "brain": "language model (`llm`)",
    "tts": "text to speech",
    "vad": "voice activity",
    "turn": "end of turn",
}


def _yes(value: object) -> str:
    return _YES if value else _NO


def _turns(can: Capabilities) -> str:
    kinds = {"server_vad": "VAD", "semantic_vad": "semantic", "client": "by hand"}
    return ", ".join(kinds.get(kind, kind) for kind in can.turn_detection) or _NO


def _limit(can: Capabilities) -> str:
    seconds = can.max_connection_seconds
    return _NO if seconds is None else f"{seconds // 60} min"


def _history(can: Capabilities) -> str:
    return {"none": _NO, "before_audio": "before audio", "at_start": "at start"}.get(
        can.history, can.history
    )


def _voices(can: Capabilities) -> str:
    return str(len(can.voices)) if can.voices else "any" if can.audio_output else _NO


#: Heads of the columns, and what is in them.
_COLUMNS: Mapping[str, Callable[[Capabilities], str]] = {
    "streams in real time": lambda can: _yes(can.audio_output),
    "server VAD": _turns,
    "voices": _voices,
    "function calling": lambda can: _yes(can.tools),
    "emotion": lambda can: _yes(can.emotion),
    "vocabulary": lambda can: _yes(can.vocabulary),
    "told what was heard": lambda can: _yes(can.truncate),
    "history": _history,
    "resumes": lambda can: _yes(can.resume != "none"),
    "limit": _limit,
    "billed by": lambda can: can.usage_unit if can.usage_unit != "none" else _NO,
}


def compared(providers: Mapping[str, Capabilities | None]) -> str:
    """Providers by name, a line each, as a table in Markdown. What can be done is None where that is not known."""
    from voxengine.testing.emulators.catalogue import emulators

    about = {name: words for vendor in vendors().values() for name, words in vendor.about.items()}
    lines = [["provider", "what it is", *_COLUMNS, "proven by"]]
    for name, can in providers.items():
        cells = ["?"] * len(_COLUMNS) if can is None else [cell(can) for cell in _COLUMNS.values()]
        entry = emulators().get(name)
        proof = "the conformance suite"
        if entry is not None:
            proof = f"emulator, {entry.judged_by}"
            if entry.clients:
                proof += "; clients: " + ", ".join(entry.clients)
        lines.append([f"`{name}`", about.get(name, ""), *cells, proof])
    return markdown_table(lines)


def parts() -> str:
    """The parts of a cascade by kind and name, as a table in Markdown."""
    from voxengine.testing.emulators.catalogue import emulators

    lines = [["kind", "name", "what it is", "extra", "proven by"]]
    found = {
        spec: (vendor, entry)
        for vendor in vendors().values()
        for spec, entry in vendor.parts.items()
    }
    for kind, words in _KINDS.items():
        for spec in sorted(spec for spec in found if spec.partition(".")[0] == kind):
            vendor, _ = found[spec]
            extra = vendor.extras.get(spec)
            emulator = emulators().get(spec)
            proof = f"emulator, {emulator.judged_by}" if emulator is not None else "its tests"
            if emulator is not None and emulator.clients:
                proof += "; clients: " + ", ".join(emulator.clients)
            name = spec.partition(".")[2]
            shown = f"`{extra}`" if extra else _NO
            lines.append([words, f"`{name}`", vendor.about.get(spec, ""), shown, proof])
    return markdown_table(lines)


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """The first line is the head."""
    head, *body = lines
    rows = [head, ["---"] * len(head), *body]
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in rows
    )
