"""What all tests share."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# Two of these at work on two cores, each with threads of its own that wait by turning round, take twice the time. It is
# read when numpy is loaded, here and in the processes that tests start.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Where a failure would stop somebody else's work, the same examples are tried on every run; elsewhere new ones are.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """On the real clock, among other people's processes, a moment may be missed: such a test has a second try.

    The report counts what needed one. On the virtual clock nothing is missed, and nothing is tried again.
    """
    for item in items:
        if item.get_closest_marker("real_clock") is not None:
            item.add_marker(pytest.mark.flaky(reruns=1))
