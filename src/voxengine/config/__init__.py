"""Configuration: `VoiceEngineConfig` for the application, `ProviderConfig` for a provider.

A setting is taken from the arguments, else from the environment, else from a TOML file, else it has its default
(`VoiceEngineConfig.load`). Keys are never shown: every repr masks them.
"""

from voxengine.config.checks import Chunking, Mode, as_format
from voxengine.config.masking import masked
from voxengine.config.provider import PROVIDER_FIELDS, ProviderConfig
from voxengine.config.settings import CHANGEABLE, OWN, VoiceEngineConfig

__all__ = [
    "CHANGEABLE",
    "OWN",
    "PROVIDER_FIELDS",
    "Chunking",
    "Mode",
    "ProviderConfig",
    "VoiceEngineConfig",
    "as_format",
    "masked",
]
