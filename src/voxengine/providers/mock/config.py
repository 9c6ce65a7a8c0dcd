"""The settings of the mock. All have a default; each can be given by keyword or in `metadata`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import msgspec

from voxengine.audio.formats import AudioFormat
from voxengine.config import PROVIDER_FIELDS, ProviderConfig, as_format
from voxengine.errors import ConfigurationError
from voxengine.providers.capabilities import Capabilities
from voxengine.providers.mock.faults import FaultPlan

__all__ = [
    "MOCK_CAPABILITIES",
    "Latency",
    "MockConfig",
    "MockSettings",
    "answers_on_request",
    "settings_of",
    "speaks_on",
]

_FORMATS = (
    AudioFormat("pcm16", 24000),
    AudioFormat("pcm16", 16000),
    AudioFormat("pcm16", 8000),
    AudioFormat("g711_ulaw", 8000),
    AudioFormat("g711_alaw", 8000),
)

#: The mock can do all that the contract has; `capabilities` switches off what a test does not want.
MOCK_CAPABILITIES = Capabilities(
    input_formats=_FORMATS,
    output_formats=_FORMATS,
    text_output=True,
    voices=("alto", "tenor"),
    languages=("en",),
    turn_detection=("server_vad",),
    vad_events=True,
    auto_response=True,
    self_interrupting=True,
    auto_response_optional=True,
    interruptions_optional=True,
    turn_options=("threshold", "prefix_padding_ms", "silence_duration_ms"),
    input_transcription=True,
    partial_transcripts=True,
    emotion=True,
    cancel=True,
    truncate=True,
    commit=True,
    clear=True,
    delete=True,
    say=True,
    tools=True,
    parallel_tools=True,
    continues_after_tool=True,
    silent_results=True,
    history="items",
    history_places=True,
    system_messages=True,
    instructions_updatable=True,
    usage_unit="seconds",
    on_device=True,
)


class Latency(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Milliseconds that things take."""

    connect: float = 0.0
    #: From a request to the first words of the answer.
    first: float = 0.0
    #: More between chunks than their own pace.
    chunk: float = 0.0
    #: From the vendor to us, for every event.
    network: float = 0.0


#: What `simulate_latency=True` means: a good vendor on a good day.
TYPICAL = Latency(connect=60.0, first=250.0, network=20.0)


class MockSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a `MockConfig` can hold beside the settings of every provider. Times are milliseconds."""

    #: What it answers: see `voxengine.providers.mock.script`.
    mock_responses: Any = None
    #: The reply where the script has none.
    default_response: Any = "You said: {text}"
    #: What it says when asked for a response though nobody said anything.
    greeting: str = "Hello. How can I help?"
    #: What it understands of speech that carries no words of ours, turn by turn in rotation; None fails to transcribe.
    transcripts: Any = ()
    #: How the user sounds, turn by turn in rotation: scores by name.
    emotions: Any = ()
    #: A number is the time to the first words; see `Latency` for a dict.
    latency_ms: Any = None
    #: Latencies as a vendor has them, where `latency_ms` says nothing.
    simulate_latency: bool = False
    #: More delay before each response.
    response_delay_ms: float = 0.0
    #: How long after the turn its transcript comes.
    transcript_delay_ms: float = 0.0
    #: Part of the responses that fail, drawn from `seed`.
    error_rate: float = 0.0
    seed: int = 0
    #: What goes wrong, and when: see `voxengine.providers.mock.faults`. A `FaultPlan` may be shared by several mocks.
    faults: Any = None
    #: Length of a chunk of audio, and how many times faster than it plays it is sent (inf: at once).
    chunk_ms: float = 100.0
    realtime_factor: float = 4.0
    ms_per_word: float = 350.0
    #: Silence that ends a turn, and silence after which speech counts as ended (by default the same).
    silence_ms: float = 500.0
    pause_ms: float | None = None
    #: What is louder than this is speech, in dB below full scale.
    threshold_db: float = -45.0
    #: How often partial transcripts come.
    partial_ms: float = 300.0
    #: Fields of `Capabilities` that differ, or all of them.
    capabilities: Any = None
    #: US dollars for a minute of audio, in either direction.
    price_per_minute: float = 0.0
    #: Calls that are still out are called off when the user barges in.
    cancels_tools: bool = False
    #: The handle of a session to take up again, where `capabilities` have a kind of `resume`.
    resume: str | None = None
    #: Keep all that was sent to it, in `history` and `received_audio`.
    record: bool = True


_NAMES = MockSettings.__struct_fields__


class MockConfig(ProviderConfig):
    """Configuration of the mock: the settings of every provider, and those of `MockSettings`.

    Raises:
        ConfigurationError: a setting is unknown.
    """

    def __init__(self, **settings: Any) -> None:
        for name in settings:
            if name not in _NAMES and name not in PROVIDER_FIELDS:
                near = difflib.get_close_matches(name, [*_NAMES, *PROVIDER_FIELDS], n=1)
                hint = f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(_NAMES)}"
                raise ConfigurationError(f"the mock has no setting {name!r}{hint}")
        super().__init__(**settings)


def settings_of(config: ProviderConfig) -> MockSettings:
    """The mock's own settings, wherever in a configuration they were given.

    Raises:
        ConfigurationError: a value does not do.
    """
    given = {name: value for name in _NAMES if (value := config.option(name)) is not None}
    try:
        settings = msgspec.convert(given, MockSettings)
        settings.latency_ms = _latency(settings)
        settings.capabilities = _capabilities(settings.capabilities)
    except msgspec.ValidationError as failure:
        raise ConfigurationError(f"the mock's configuration: {failure}") from None
    settings.faults = FaultPlan.of(settings.faults)
    if settings.chunk_ms <= 0 or settings.realtime_factor <= 0:
        raise ConfigurationError("chunk_ms and realtime_factor are above 0")
    if not 0 <= settings.error_rate <= 1:
        raise ConfigurationError(f"error_rate is a part, 0 to 1, not {settings.error_rate}")
    return settings


def answers_on_request(can: Capabilities, config: ProviderConfig) -> bool:
    """Whether it was told to answer no turn by itself, and can be."""
    return can.auto_response_optional and config.auto_response is False


def speaks_on(can: Capabilities, config: ProviderConfig) -> bool:
    """Whether it was told not to stop when the user speaks, and can be."""
    return can.interruptions_optional and config.interruptions is False


def _latency(settings: MockSettings) -> Latency:
    given = settings.latency_ms
    if isinstance(given, Latency):
        return given
    if given is None:
        return TYPICAL if settings.simulate_latency else Latency()
    return msgspec.convert(given if isinstance(given, Mapping) else {"first": given}, Latency)


def _capabilities(given: Any) -> Capabilities:
    if given is None:
        return MOCK_CAPABILITIES
    if isinstance(given, Capabilities):
        return given
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f"capabilities are a dict of fields that differ, not {type(given).__name__}"
        )
    unknown = set(given) - set(Capabilities.__struct_fields__)
    if unknown:
        raise ConfigurationError(f"there is no capability {', '.join(sorted(unknown))}")
    values = {
        name: getattr(MOCK_CAPABILITIES, name) for name in Capabilities.__struct_fields__
    } | dict(given)
    for name in ("input_formats", "output_formats"):
        values[name] = tuple(as_format(name, f) for f in values[name])
    return msgspec.convert(values, Capabilities)
