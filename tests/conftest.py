"""What all tests share."""

from __future__ import annotations

import os

from hypothesis import settings

# Where a failure would stop somebody else's work, the same examples are tried on every run; elsewhere new ones are.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
