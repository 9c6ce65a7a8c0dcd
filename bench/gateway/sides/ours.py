"""The gateway, as `voxengine serve` runs it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from voxengine.gateway.config import GatewayConfig
from voxengine.gateway.gateway import Gateway
from voxengine.gateway.serving import make_front

_KEY = "VOXENGINE_BENCH_KEY"


@asynccontextmanager
async def relay(server_port: int) -> AsyncIterator[int]:
    os.environ[_KEY] = "sk-x"
    with tempfile.TemporaryDirectory() as folder:
        config = GatewayConfig.from_dict(
            {
                "gateway": {
                    "port": 0,
                    "store": str(Path(folder) / "gateway.db"),
                    "default_route": "bench",
                    # The call that warms up is over when its client is.
                    "resume_window": 0.1,
                    "max_calls": 10_000,
                    "max_loop_lag_ms": 10_000,
                },
                "providers": {
                    "peer": {
                        "provider": "openai",
                        "api_key_env": _KEY,
                        "endpoint": f"ws://127.0.0.1:{server_port}/v1",
                    }
                },
                "routes": {"bench": {"providers": ["peer/gpt-realtime"]}},
            }
        )
        gateway = Gateway(config)
        front = make_front(gateway)
        await front.start()
        try:
            yield front.port
        finally:
            await front.close()
