"""The gateway between many clients and a provider: what a second of a call costs, against a relay that reads nothing.

The traffic is that of `bench.hot_path`. A client process holds the calls, a server process plays the vendor, and
between them is one process of the side that is measured:

- raw: picows in, picows out; frames are passed on as they are.
- voxengine: the gateway as `voxengine serve` runs it, with its store on disk, one route to the server, no recording.
- websockets: `websockets` in, `websockets` out.
"""

from bench.gateway.run import measure

__all__ = ["measure"]
