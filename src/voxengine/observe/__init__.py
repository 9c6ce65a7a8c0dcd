"""Figures about what goes on, kept off the audio path."""

from voxengine.observe.metrics import Metrics

__all__ = ["Metrics"]
