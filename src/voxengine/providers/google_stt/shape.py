"""Options of the recogniser, and the configuration of a stream in the vendor's form."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from voxengine.errors import ConfigurationError

__all__ = ["MAX_CHUNK_BYTES", "SAMPLE_RATE", "Settings", "config_of", "settings_of"]

SAMPLE_RATE = 16000
#: Bytes of audio in one message: the vendor's limit is 25 KB, with what is around it.
MAX_CHUNK_BYTES = 24_000
DEFAULT_MODEL = "chirp_3"

_SENSITIVITY = {
    "standard": "ENDPOINTING_SENSITIVITY_STANDARD",
    "short": "ENDPOINTING_SENSITIVITY_SHORT",
    "supershort": "ENDPOINTING_SENSITIVITY_SUPERSHORT",
}
_OPTIONS = (
    "api_key",
    "boost",
    "endpoint",
    "endpointing",
    "languages",
    "location",
    "model",
    "project",
    "punctuation",
    "recognizer",
    "timeout_s",
)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the recogniser is, and how it listens."""

    model: str
    project: str
    location: str
    recognizer: str
    #: host:port; whether it is spoken to in the clear.
    endpoint: str
    insecure: bool
    api_key: str | None
    languages: tuple[str, ...]
    punctuation: bool
    endpointing: Literal["standard", "short", "supershort"]
    #: How much more likely words of the vocabulary are, 0 to 20.
    boost: float
    #: Seconds that a call may take to be answered, and to end when no more audio comes.
    timeout_s: float

    @property
    def path(self) -> str:
        """The recogniser as the vendor addresses it."""
        if "/" in self.recognizer:
            return self.recognizer
        return f"projects/{self.project}/locations/{self.location}/recognizers/{self.recognizer}"


def settings_of(model: str, options: Mapping[str, Any]) -> Settings:
    """The settings that a spec ("google/chirp_3") and its options mean.

    Raises:
        ConfigurationError: an option is unknown, wrong or missing.
    """
    if unknown := sorted(set(options) - set(_OPTIONS)):
        raise ConfigurationError(
            f"stt 'google' has no option {', '.join(unknown)}; it has {', '.join(_OPTIONS)}"
        )
    project = options.get("project") or os.environ.get("GOOGLE_CLOUD_PROJECT")
    recognizer = str(options.get("recognizer") or "_")
    if not project and "/" not in recognizer:
        raise ConfigurationError("stt 'google' needs a project (or set GOOGLE_CLOUD_PROJECT)")
    location = str(options.get("location") or os.environ.get("GOOGLE_CLOUD_LOCATION") or "us")
    endpoint, insecure = _endpoint(options.get("endpoint"), location)
    endpointing = options.get("endpointing", "standard")
    if endpointing not in _SENSITIVITY:
        raise ConfigurationError(
            f"endpointing of stt 'google' is {', '.join(_SENSITIVITY)}, not {endpointing!r}"
        )
    languages = options.get("languages") or ()
    if isinstance(languages, str) or not all(isinstance(each, str) for each in languages):
        raise ConfigurationError("languages of stt 'google' are a list of names like 'en-US'")
    return Settings(
        model=model or str(options.get("model") or DEFAULT_MODEL),
        project=str(project or ""),
        location=location,
        recognizer=recognizer,
        endpoint=endpoint,
        insecure=insecure,
        api_key=options.get("api_key"),
        languages=tuple(languages),
        punctuation=bool(options.get("punctuation", True)),
        endpointing=endpointing,
        boost=_number(options, "boost", 10.0),
        timeout_s=_number(options, "timeout_s", 5.0),
    )


def _number(options: Mapping[str, Any], name: str, default: float) -> float:
    value = options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ConfigurationError(f"{name} of stt 'google' is a number above 0, not {value!r}")
    return float(value)


def _endpoint(given: Any, location: str) -> tuple[str, bool]:
    if given is None:
        host = "speech.googleapis.com"
        return (host if location == "global" else f"{location}-{host}"), False
    parts = urlsplit(str(given) if "://" in str(given) else f"https://{given}")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigurationError(
            "endpoint of stt 'google' is like https://us-speech.googleapis.com, or http:// in the clear"
        )
    return parts.netloc, parts.scheme == "http"


def config_of(
    settings: Settings, language: str | None, vocabulary: Sequence[str]
) -> dict[str, Any]:
    """The `StreamingRecognitionConfig` of a stream."""
    # A chirp model finds the language itself; the others have to be told one.
    fallback = ("auto",) if settings.model.startswith("chirp") else ("en-US",)
    config: dict[str, Any] = {
        "explicit_decoding_config": {
            "encoding": "LINEAR16",
            "sample_rate_hertz": SAMPLE_RATE,
            "audio_channel_count": 1,
        },
        "model": settings.model,
        "language_codes": [language] if language else list(settings.languages or fallback),
        "features": {"enable_automatic_punctuation": settings.punctuation},
    }
    if vocabulary:
        phrases = [{"value": word, "boost": settings.boost} for word in vocabulary]
        config["adaptation"] = {"phrase_sets": [{"inline_phrase_set": {"phrases": phrases}}]}
    return {
        "config": config,
        "streaming_features": {
            "interim_results": True,
            "enable_voice_activity_events": True,
            "endpointing_sensitivity": _SENSITIVITY[settings.endpointing],
        },
    }
