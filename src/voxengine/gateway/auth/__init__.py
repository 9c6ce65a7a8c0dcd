"""Who gets in: keys, client secrets, and what each of them may do, how often and for how much."""

from voxengine.gateway.auth.gatekeeper import Gatekeeper, KeysConfig
from voxengine.gateway.auth.keyfile import KeyFile
from voxengine.gateway.auth.keys import Budget, Key, Retired, new_identity, new_key
from voxengine.gateway.auth.lease import Lease
from voxengine.gateway.auth.limits import Limited

__all__ = [
    "Budget",
    "Gatekeeper",
    "Key",
    "KeyFile",
    "KeysConfig",
    "Lease",
    "Limited",
    "Retired",
    "new_identity",
    "new_key",
]
