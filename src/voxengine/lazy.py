"""Modules that take long to import, imported when they are first needed.

In a process that holds calls, a tenth of a second spent importing is a tenth of a second in which no call is served. In
a thread the interpreter shares that time out in slices of a few milliseconds.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from types import ModuleType

__all__ = ["load_module"]


async def load_module(name: str) -> ModuleType:
    """The module; imported in a thread if it is not there yet.

    Raises:
        ImportError: it cannot be imported.
    """
    module = sys.modules.get(name)
    # Another task may be importing it at this moment: then it is there, and not complete.
    if module is not None and not getattr(module.__spec__, "_initializing", False):
        return module
    return await asyncio.to_thread(importlib.import_module, name)
