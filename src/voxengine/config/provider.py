"""`ProviderConfig`: what a provider is made with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from voxengine.audio.formats import AudioFormat
from voxengine.config.masking import masked
from voxengine.errors import ConfigurationError

__all__ = ["PROVIDER_FIELDS", "ProviderConfig"]


class ProviderConfig(Mapping[str, Any]):
    """What a provider is made with: attributes and items are the same, `config["voice"]` and `config.voice`.

    As a mapping it holds only what was set, so `config.get("voice", "marin")` gives the default where nothing was.
    Settings that only one provider knows are given as further keywords or in `metadata`; `option` finds both.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        model: str | None = None,
        voice: str | None = None,
        instructions: str | None = None,
        temperature: float | None = None,
        max_response_tokens: int | None = None,
        modalities: list[str] | None = None,
        language: str | None = None,
        input_format: AudioFormat | None = None,
        output_format: AudioFormat | None = None,
        turn_detection: str | None = None,
        turn_options: Mapping[str, Any] | None = None,
        auto_response: bool | None = None,
        interruptions: bool | None = None,
        transcription: bool | None = None,
        partials: bool | None = None,
        vad_events: bool | None = None,
        vocabulary: list[str] | None = None,
        emotion: bool | None = None,
        tools: list[dict[str, Any]] | None = None,
        metadata: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.api_key = api_key
        self.model = model
        #: One of the provider's voices, or another provider's, which is mapped.
        self.voice = voice
        #: The system prompt.
        self.instructions = instructions
        self.temperature = temperature
        self.max_response_tokens = max_response_tokens
        #: "audio" and "text": what a response is made of.
        self.modalities = modalities
        self.language = language
        #: Formats that the application would like best; None leaves the choice to the provider.
        self.input_format = input_format
        self.output_format = output_format
        #: One of the provider's kinds, "none" for turns that the application ends, None for the provider's default.
        self.turn_detection = turn_detection
        #: Settings of the turn detection in OpenAI's names, such as `silence_duration_ms`; see the capability.
        self.turn_options: Mapping[str, Any] | None = turn_options or None
        #: False: turns that it has found are not answered until that is asked for. None is as True.
        self.auto_response = auto_response
        #: False: the user's speech does not cut an answer short. None is as True.
        self.interruptions = interruptions
        #: Whether the user's words are wanted, finally and while they are said; None is the provider's default.
        self.transcription = transcription
        self.partials = partials
        #: Whether the start and the end of the user's speech are wanted as events.
        self.vad_events = vad_events
        #: Words and phrases that it should listen for: names, products, terms of a trade; see the capability.
        self.vocabulary = vocabulary or None
        #: Whether it is wanted how the user sounds; None is the provider's default.
        self.emotion = emotion
        #: JSON schemas of the tools: name, description, parameters.
        self.tools = tools
        self.metadata: dict[str, Any] = dict(metadata or {})
        self.options = options

    @classmethod
    def of(cls, config: Mapping[str, Any] | ProviderConfig | None) -> ProviderConfig:
        """A config from any mapping; one that is a `ProviderConfig` already is used as it is."""
        if isinstance(config, ProviderConfig):
            return config
        if config is not None and not isinstance(config, Mapping):
            raise ConfigurationError(
                f"a provider is made with a ProviderConfig or a dict, not {type(config).__name__}"
            )
        return cls(**dict(config or {}))

    if (
        not TYPE_CHECKING
    ):  # to a type checker, a name that is no setting of every provider is a mistake

        def __getattr__(self, name: str) -> Any:
            # Only for what is not found otherwise. A copy has no options yet.
            options = self.__dict__.get("options", {})
            if name in options:
                return options[name]
            raise AttributeError(f"{type(self).__name__} has no setting {name!r}")

    def option(self, name: str, default: Any = None) -> Any:
        """A setting of one provider only, wherever it was given."""
        if name in self.options:
            return self.options[name]
        return self.metadata.get(name, default)

    def update(self, **settings: Any) -> None:
        """Change settings; a name that is no setting of every provider becomes an option."""
        for name, value in settings.items():
            if name in PROVIDER_FIELDS:
                setattr(self, name, value)
            else:
                self.options[name] = value

    def _set(self) -> dict[str, Any]:
        own = {
            name: value for name in PROVIDER_FIELDS if (value := getattr(self, name)) is not None
        }
        return {**own, **self.options}

    def __getitem__(self, name: str) -> Any:
        return self._set()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._set())

    def __len__(self) -> int:
        return len(self._set())

    def __repr__(self) -> str:
        shown = ", ".join(f"{k}={v!r}" for k, v in masked(self._set()).items() if v != {})
        return f"{type(self).__name__}({shown})"


PROVIDER_FIELDS = (
    "api_key",
    "model",
    "voice",
    "instructions",
    "temperature",
    "max_response_tokens",
    "modalities",
    "language",
    "input_format",
    "output_format",
    "turn_detection",
    "turn_options",
    "auto_response",
    "interruptions",
    "transcription",
    "partials",
    "vad_events",
    "vocabulary",
    "emotion",
    "tools",
    "metadata",
)
