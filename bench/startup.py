"""What importing costs: fresh interpreters, above one that imports nothing."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from typing import Any

#: What importing the package must not bring along.
FORBIDDEN = ("onnxruntime", "ctranslate2", "sounddevice", "fastapi", "numpy")

_STATEMENTS = {
    "import_ms": "import voxengine",
    "import_engine_ms": "from voxengine import VoiceEngine, VoiceEngineConfig",
}


def measure(quick: bool) -> dict[str, Any]:
    """Medians of 7 interleaved rounds, in ms above a bare interpreter."""
    rounds = 3 if quick else 7
    samples: dict[str, list[float]] = {name: [] for name in _STATEMENTS}
    _run("import voxengine, voxengine.engine")  # the first import compiles
    for _ in range(rounds):
        bare = _run("pass")
        for name, statement in _STATEMENTS.items():
            samples[name].append((_run(statement) - bare) * 1000)
    probe = f"{_STATEMENTS['import_engine_ms']}; import sys; print([m for m in {FORBIDDEN!r} if m in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    )
    figures: dict[str, Any] = {
        name: round(statistics.median(values), 1) for name, values in samples.items()
    }
    return {
        **figures,
        "import_rounds": {name: [round(v, 1) for v in values] for name, values in samples.items()},
        "import_brings": loaded.stdout.strip(),
    }


# As a user's interpreter works, which keeps what it has compiled.
_ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
}


def _run(statement: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True, env=_ENVIRONMENT)
    return time.perf_counter() - started
