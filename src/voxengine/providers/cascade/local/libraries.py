"""Imports of the libraries that only the local parts need, at the moment they are needed."""

from __future__ import annotations

import importlib
from typing import Any

from voxengine.errors import MissingDependencyError

__all__ = ["library"]


def library(module: str, feature: str) -> Any:
    """Import a module of the `local` extra.

    Raises:
        MissingDependencyError: it is not installed, or does not load on this machine.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:  # OSError: a shared library that the system lacks
        raise MissingDependencyError(feature, "local", str(error)) from error
