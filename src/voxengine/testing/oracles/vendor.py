"""Finds a vendor's published types, and says plainly how to get them where they are missing."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

from voxengine.errors import MissingDependencyError

__all__ = ["MissingVendorTypesError", "models_by_type", "vendor_module"]


class MissingVendorTypesError(MissingDependencyError):
    """The package with a vendor's types is not installed. The message holds the command that installs it."""

    def __init__(self, feature: str, package: str, detail: str = "") -> None:
        """`feature` is what was asked for, `package` the vendor's package on the package index."""
        self.feature = feature
        self.extra = package
        text = f"{feature} needs the types of the '{package}' package. Install it with: pip install {package}"
        # Past the parent's own text, which names an extra of this package.
        super(MissingDependencyError, self).__init__(f"{text} ({detail})" if detail else text)


def vendor_module(module: str, *, package: str, feature: str) -> Any:
    """Import a module of a vendor's package.

    Raises:
        MissingVendorTypesError: it is not installed, or too old to have that module.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingVendorTypesError(feature, package, str(error)) from error


def models_by_type(union: Any) -> dict[str, Any]:
    """The members of a union of models, by the literal values of their `type`."""
    return {
        name: model
        for model in _members(union)
        for name in get_args(model.model_fields["type"].annotation)
    }


def _members(union: Any) -> Iterator[Any]:
    inner = get_args(union)[0] if get_origin(union) is Annotated else union
    for member in get_args(inner):
        if get_origin(member) is None:
            yield member
        else:
            yield from _members(member)
