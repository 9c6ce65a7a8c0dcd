"""Finds the folder of a Whisper model by the name that the user gave.

In this order: the packaged `tiny.en` (pinned); a path; a folder under `VOXENGINE_MODEL_DIR` named `whisper-NAME` or
`NAME`; the Hugging Face cache of this machine; the Hugging Face hub. The hub is only asked for a model that was named
and is nowhere else, and only this module ever asks it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from voxengine.errors import ModelError
from voxengine.providers.cascade.local.libraries import library
from voxengine.providers.cascade.local.models import (
    MODEL_DIR_VARIABLE,
    MODELS,
    ModelFiles,
    locate,
    model_dir,
)

__all__ = ["DEFAULT_MODEL", "NEEDED_FILES", "find_whisper"]

DEFAULT_MODEL = "tiny.en"
#: Without its tokenizer.json faster-whisper would quietly fetch one from the hub.
NEEDED_FILES = ("model.bin", "config.json", "tokenizer.json")


def find_whisper(name: str) -> ModelFiles:
    """The folder of model `name`. Blocks: it reads the files of a pinned model, and may download one that is not here.

    Raises:
        MissingDependencyError: the package with the default model is not installed.
        ModelError: there is no such model, or it is incomplete, corrupted, or could not be fetched.
    """
    if f"whisper-{name}" in MODELS:
        return locate(f"whisper-{name}")
    as_path = Path(name).expanduser()
    if name.startswith(("/", "./", "../", "~")) or as_path.is_absolute():
        return _checked(name, as_path)
    own = model_dir()
    for folder in (own / f"whisper-{name}", own / name) if own is not None else ():
        if folder.is_dir():
            return _checked(name, folder)
    return _checked(name, Path(_from_hub(name)))


def _checked(name: str, folder: Path) -> ModelFiles:
    missing = [file for file in NEEDED_FILES if not (folder / file).is_file()]
    if not folder.is_dir():
        raise ModelError(f"the Whisper model {name!r} is to be in {folder}, which is not a folder")
    if missing:
        raise ModelError(
            f"the Whisper model in {folder} is incomplete: {', '.join(missing)} missing; a model converted for "
            f"CTranslate2 has {', '.join(NEEDED_FILES)}"
        )
    return ModelFiles(f"whisper-{name}", folder, pinned=False)


def _from_hub(name: str) -> Any:
    utils = library("faster_whisper.utils", "speech recognition with Whisper")
    known = utils.available_models()
    if name not in known and name.count("/") != 1:
        raise ModelError(
            f"no Whisper model is called {name!r}; there are {', '.join(known)}, a hub name (owner/model), or a path. "
            f"{DEFAULT_MODEL} comes with the 'local' extra"
        )
    try:
        return utils.download_model(name, local_files_only=True)
    except Exception:  # not in the cache; the hub's client has many classes of error
        try:
            return utils.download_model(name)
        except Exception as error:
            raise ModelError(
                f"the Whisper model {name!r} is not on this machine and could not be fetched from the Hugging Face hub "
                f"({type(error).__name__}: {(str(error).splitlines() or [''])[0]}). Without a network, copy the folder "
                f"of a model converted for CTranslate2 ({', '.join(NEEDED_FILES)}) to "
                f"${MODEL_DIR_VARIABLE}/whisper-{name.rpartition('/')[2]}, or name it: stt = 'whisper//path/to/it'; "
                f"or use {DEFAULT_MODEL}, which comes with the 'local' extra"
            ) from error
