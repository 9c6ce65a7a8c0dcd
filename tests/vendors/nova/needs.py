from __future__ import annotations

import importlib.util

import pytest

#: AWS's library is for Python 3.12 and newer. `make test` runs what needs it by such a Python, where it finds one.
needs_library = pytest.mark.skipif(
    importlib.util.find_spec("aws_sdk_bedrock_runtime") is None,
    reason="aws-sdk-bedrock-runtime is not installed here: it needs Python 3.12 (see tools/newer_python.py)",
)
