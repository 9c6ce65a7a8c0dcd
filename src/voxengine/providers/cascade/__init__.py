"""A provider composed of parts: voice activity, turn detection, speech to text, a language model, text to speech."""

from __future__ import annotations

from voxengine.providers.cascade.provider import CascadeProvider
from voxengine.providers.cascade.registry import create_part, list_parts, register_part
from voxengine.providers.cascade.settings import CascadeSettings

__all__ = ["CascadeProvider", "CascadeSettings", "create_part", "list_parts", "register_part"]
