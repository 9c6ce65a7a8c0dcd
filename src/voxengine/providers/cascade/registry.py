"""The parts of a cascade by name: "whisper/tiny.en", "hibari", "silero", "openai-chat/llama3.2", ...

A spec is a name, and behind the first "/" what the part is to be made of (a model, a voice, a path). A factory is
called as `factory(model, options)`. A package offers parts through the entry-point group `voxengine.parts`, under the
name "KIND.NAME" (`stt.parakeet = "my_package:make_parakeet"`).

Parts with heavy weights are shared: the same spec with the same options is the same object for every session, and the
last `MAX_SHARED` of them are kept. One that falls out lives on for the sessions that hold it.
"""

from __future__ import annotations

import difflib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeAlias

from voxengine.errors import ConfigurationError
from voxengine.providers.manifest import PartEntry, load, vendors

__all__ = [
    "ENTRY_POINT_GROUP",
    "KINDS",
    "MAX_SHARED",
    "create_part",
    "list_parts",
    "part_settings",
    "register_part",
    "unregister_part",
]

ENTRY_POINT_GROUP = "voxengine.parts"
KINDS = ("vad", "turn", "stt", "brain", "tts")
#: Shared parts that are kept: two full sets of them, and some.
MAX_SHARED = 8

#: Makes a part from the rest of the spec ("" if there is none) and the options.
Factory: TypeAlias = Callable[[str, Mapping[str, Any]], Any]


_registered: dict[tuple[str, str], PartEntry] = {}
_offered: dict[str, Any] | None = None
_shared: OrderedDict[tuple[str, str, str], Any] = OrderedDict()
_lock = threading.RLock()


def register_part(kind: str, name: str, factory: Factory | str, *, shared: bool = False) -> None:
    """Make a part known; a later registration of the same name replaces the earlier one.

    `factory` may be "module:attribute", imported when it is first used. `shared` parts are made once for all sessions.

    Raises:
        ConfigurationError: the kind is unknown, the name is empty or holds a "/", or `factory` is neither.
    """
    _check_kind(kind)
    if not name.strip() or "/" in name:
        raise ConfigurationError(f"a part's name is not empty and holds no '/': {name!r}")
    if not callable(factory) and not (isinstance(factory, str) and ":" in factory):
        raise ConfigurationError(
            f"the factory of {kind} {name!r} is a function or 'module:attribute', not {factory!r}"
        )
    with _lock:
        _registered[kind, name] = PartEntry(factory, shared)
        _drop_shared(kind, name)


def unregister_part(kind: str, name: str) -> None:
    """Forget a registration of the application's own; a built-in of the same name is there again."""
    with _lock:
        _registered.pop((kind, name), None)
        _drop_shared(kind, name)


def list_parts(kind: str) -> list[str]:
    """The names of all parts of a kind, sorted.

    Raises:
        ConfigurationError: the kind is unknown.
    """
    _check_kind(kind)
    names = {name for known, name in (*_built_in(), *_registered) if known == kind}
    names |= {point.partition(".")[2] for point in _entry_points() if point.startswith(f"{kind}.")}
    return sorted(names)


def part_settings(kind: str, spec: str) -> Mapping[str, str]:
    """The options of a part that general settings stand for: the option's name, and the setting's.

    Raises:
        ConfigurationError: there is no such part.
    """
    _check_kind(kind)
    return _entry(kind, spec.strip().partition("/")[0]).settings


def create_part(kind: str, spec: str, options: Mapping[str, Any] | None = None) -> Any:
    """Make (or share) the part that `spec` names.

    Raises:
        ConfigurationError: the kind, the name or an option is unknown; the message lists what there is.
        MissingDependencyError: what it is made of is not installed.
    """
    _check_kind(kind)
    name, _, model = spec.strip().partition("/")
    given = dict(options or {})
    entry = _entry(kind, name)
    if not entry.shared:
        return _factory(entry)(model, given)
    key = (kind, spec.strip(), repr(sorted(given.items())))
    # Held while the part is made, so that two sessions do not make two. Making loads nothing; `load` does.
    with _lock:
        if key not in _shared:
            _shared[key] = _factory(entry)(model, given)
            while len(_shared) > MAX_SHARED:
                _shared.popitem(last=False)
        _shared.move_to_end(key)
        return _shared[key]


@cache
def _built_in() -> Mapping[tuple[str, str], PartEntry]:
    found: dict[tuple[str, str], PartEntry] = {}
    for vendor in vendors().values():
        for spec, entry in vendor.parts.items():
            kind, _, name = spec.partition(".")
            found[kind, name] = entry
    return found


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise ConfigurationError(
            f"no kind of part is called {kind!r}; there are {', '.join(KINDS)}"
        )


def _entry(kind: str, name: str) -> PartEntry:
    entry = _registered.get((kind, name)) or _built_in().get((kind, name))
    if entry is not None:
        return entry
    point = _entry_points().get(f"{kind}.{name}")
    if point is not None:
        return PartEntry(point.load(), shared=False)
    known = list_parts(kind)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ConfigurationError(f"no {kind} is called {name!r}; available: {', '.join(known)}.{hint}")


def _factory(entry: PartEntry) -> Factory:
    factory: Any = entry.factory
    made: Factory = load(factory) if isinstance(factory, str) else factory
    return made


def _drop_shared(kind: str, name: str) -> None:
    for key in [key for key in _shared if key[0] == kind and key[1].partition("/")[0] == name]:
        del _shared[key]


def _entry_points() -> dict[str, Any]:
    # Read once and late: reading all installed packages' metadata takes longer than importing this package.
    global _offered
    if _offered is None:
        from importlib.metadata import entry_points

        _offered = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    return _offered
