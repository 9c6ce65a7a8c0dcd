"""What each folder of providers offers, found by looking: nobody keeps a list of vendors.

A folder `providers/<vendor>/` with a file `vendor.py` is a vendor; in it stands a `Vendor` named `VENDOR`. The file is
read by itself, without the package around it, so that to look a name up loads no provider. Adding a vendor is adding a
folder.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

__all__ = ["PartEntry", "Vendor", "load", "read_manifests", "vendors"]


class PartEntry(msgspec.Struct, frozen=True):
    """A part of a cascade: how it is made, and whether one is shared by all sessions of the process."""

    #: Its factory, called as `factory(model, options)`; in a manifest "module:attribute", imported when it is used.
    factory: Any
    shared: bool = False
    #: Options that general settings of the session stand for, where the application did not give them: the name of
    #: the option, and that of the setting in `ProviderConfig`.
    settings: Mapping[str, str] = {}


class Vendor(msgspec.Struct, frozen=True, kw_only=True):
    """What one folder offers. Everything is named, and imported when it is first used."""

    #: Whose it is, as people write it.
    title: str
    #: Providers: name to "module:Class".
    providers: Mapping[str, str] = {}
    #: Parts of a cascade: "stt.deepgram", "brain.anthropic", "tts.polly" to what makes them.
    parts: Mapping[str, PartEntry] = {}
    #: Voices by the name of a provider or a part's vendor: "module:NAME" of a tuple of `Voice`, the default first.
    voices: Mapping[str, str] = {}
    #: The extra that a provider or a part needs, by its name here ("nova", "stt.google"), where it needs one.
    extras: Mapping[str, str] = {}
    #: By the same names, what it is in a few words: "Gemini Live, also on Vertex AI".
    about: Mapping[str, str] = {}


@cache
def vendors() -> Mapping[str, Vendor]:
    """All vendors by the name of their folder, in the order of the alphabet."""
    return read_manifests(Path(__file__).parent, "voxengine.providers", "vendor", "VENDOR")


def read_manifests(folder: Path, package: str, module: str, attribute: str) -> Mapping[str, Any]:
    """What stands under `attribute` in the file `module`.py of each folder in `folder`, by the folder's name."""
    found: dict[str, Any] = {}
    for path in sorted(folder.glob(f"*/{module}.py")):
        spec = importlib.util.spec_from_file_location(
            f"{package}.{path.parent.name}.{module}", path
        )
        assert spec is not None
        assert spec.loader is not None
        manifest = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(manifest)
        found[path.parent.name] = getattr(manifest, attribute)
    return MappingProxyType(found)


def load(place: str) -> Any:
    """What "module:attribute" names."""
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)
