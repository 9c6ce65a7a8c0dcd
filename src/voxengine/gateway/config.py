"""The gateway's configuration: `voxengine.toml`, checked.

    [gateway]             where it listens, its limits, its store
    [providers.NAME]      a provider with its settings, under a name of one's own
    [routes.NAME]         what a client asks for as `model`: providers in order, and the settings of the call
    [keys]                who gets in (see `voxengine.gateway.auth`)
    [twilio]              telephone calls (see `voxengine.gateway.twilio`)

Secrets are named by the environment variable that holds them, never written down here. Paths are relative to the
file's folder. Without a file everything has its default: no keys, and one route to the provider `local`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from voxengine.errors import ConfigurationError
from voxengine.gateway.auth import KeysConfig
from voxengine.gateway.names import LOOPBACK, check_names
from voxengine.gateway.route_settings import (
    ProviderSettings,
    RouteSettings,
    read_provider,
    read_route,
)
from voxengine.gateway.twilio.settings import TwilioSettings

__all__ = ["DEFAULT_FILE", "DEFAULT_ROUTE", "GatewayConfig"]

#: Looked for in the working directory, where no file is named.
DEFAULT_FILE = "voxengine.toml"
#: The route of a gateway without a file.
DEFAULT_ROUTE = "default"

_Count = Annotated[int, Meta(ge=1)]
_Seconds = Annotated[float, Meta(ge=0, le=86_400 * 366)]
_Some = Annotated[float, Meta(gt=0, le=86_400 * 366)]


class GatewayConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of `voxengine.toml`. The fields before `providers` are those of `[gateway]`."""

    host: str = "127.0.0.1"
    #: 0 is a free one.
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    #: Origins of web pages that may call, such as "https://app.example"; "*" is any. The gateway's own always may.
    origins: tuple[str, ...] = ()
    #: Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed.
    trusted_proxies: tuple[str, ...] = ()
    #: STUN and TURN servers of WebRTC calls, in the form of RTCIceServer: urls, username, credential_env.
    ice_servers: tuple[dict[str, Any], ...] = ()
    #: The certificate's chain and its key, in PEM files. With them it speaks TLS.
    tls_certificate: str | None = None
    tls_key: str | None = None

    #: The route of a client that names none, or names a model of OpenAI's for which there is no route.
    default_route: str | None = None
    #: Whether "provider/model" may be called without a route that says so.
    open_models: bool = True

    #: Seconds that a call waits for its client to come back.
    resume_window: _Seconds = 30.0
    #: Seconds without a message of the client's, and nothing being said, after which it is hung up.
    idle_timeout: _Some = 300.0
    #: Seconds of which nothing may be left when the process is told to stop.
    drain_timeout: _Seconds = 30.0
    #: Calls at once.
    max_calls: _Count = 500
    #: Bytes of one message of a client.
    max_message: Annotated[int, Meta(ge=1024)] = 16 * 1024 * 1024
    #: Messages of one client in a second, on average.
    messages_per_second: _Count = 500
    #: New calls are refused while the event loop is later than this, at its 99th percentile, in ms.
    max_loop_lag_ms: _Some = 150.0

    #: The SQLite file of conversations, usage and events; "memory" keeps them only while the process lives.
    store: Annotated[str, Meta(min_length=1)] = "voxengine-data/calls.db"
    #: Days after which a call is deleted from the store, with its recording; None: never.
    retention_days: _Some | None = 30.0
    #: What is recorded of a call, where its route does not say.
    recording: Literal["off", "wav", "opus"] = "off"

    #: What hears speech where a provider finds no turns as its client wants them; None: the best that is installed.
    vad: Literal["silero", "energy"] | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    #: Whether the log has what is said in calls.
    log_transcripts: bool = False
    #: The collector of OpenTelemetry that spans are sent to, such as "http://localhost:4318"; None: that of the
    #: environment, if it names one.
    otel_endpoint: str | None = None
    #: Whether `/metrics` is served.
    metrics: bool = True

    providers: dict[str, ProviderSettings] = {}
    routes: dict[str, RouteSettings] = {}
    #: As it is written; see `keys_config`.
    keys: dict[str, Any] = {}
    #: How Twilio is known.
    twilio: TwilioSettings = TwilioSettings()
    #: The folder that paths are relative to.
    folder: Path = Path()

    @classmethod
    def load(
        cls, file: str | Path | None = None, *, provider: str | None = None, **changes: Any
    ) -> GatewayConfig:
        """Read a file; without one `voxengine.toml` of the working directory, if it is there.

        `changes` are fields of `[gateway]` that take the place of the file's; with `provider` the default route is to
        that one.

        Raises:
            ConfigurationError: the file cannot be read, or a name or a value in it is not allowed.
        """
        path = Path(file) if file is not None else Path(DEFAULT_FILE)
        nothing = file is None and not path.exists()
        config = cls.from_dict({}, **changes) if nothing else cls._read(path, changes)
        if provider is None:
            return config
        routes = {**config.routes, DEFAULT_ROUTE: RouteSettings(providers=(provider,))}
        return msgspec.structs.replace(config, routes=routes, default_route=DEFAULT_ROUTE)

    @classmethod
    def _read(cls, path: Path, changes: Mapping[str, Any]) -> GatewayConfig:
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as failure:
            raise ConfigurationError(
                f"the configuration {path} cannot be read: {failure.strerror or failure}"
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failure:
            raise ConfigurationError(f"{path} is not valid TOML: {failure}") from None
        try:
            return cls.from_dict(content, folder=path.resolve().parent, **changes)
        except ConfigurationError as failure:
            raise ConfigurationError(f"{path}: {failure}") from None

    @classmethod
    def from_dict(
        cls, content: Mapping[str, Any], *, folder: Path = Path(), **changes: Any
    ) -> GatewayConfig:
        """What such a file holds, as Python data.

        Raises:
            ConfigurationError: a name or a value in it is not allowed.
        """
        check_names(content, ("gateway", "providers", "routes", "keys", "twilio"), "the top")
        own = {**_table(content, "gateway"), **{n: v for n, v in changes.items() if v is not None}}
        check_names(own, _OWN, "[gateway]")
        providers = {
            name: read_provider(name, _table(table, name, "providers"))
            for table in [_table(content, "providers")]
            for name in table
        }
        routes = {
            name: read_route(name, _table(table, name, "routes"))
            for table in [_table(content, "routes")]
            for name in table
        }
        values = {**own, "keys": _table(content, "keys")}
        try:
            config = msgspec.convert(values, cls)
        except msgspec.ValidationError as failure:
            raise ConfigurationError(_words(failure, own)) from None
        config = msgspec.structs.replace(
            config,
            providers=providers,
            routes=routes,
            twilio=TwilioSettings.read(_table(content, "twilio")),
            folder=folder,
        )
        config.check()
        return config

    def check(self) -> None:
        """Raise, if what it says does not fit together.

        Raises:
            ConfigurationError: it does not.
        """
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ConfigurationError("[gateway] tls_certificate and tls_key go together")
        _ = self.keys_config
        kept = {self.recording, *(route.recording for route in self.routes.values())}
        if self.store == "memory" and kept - {"off", None}:
            raise ConfigurationError("[gateway] recording needs a store in a file, not in memory")
        for server in self.ice_servers:
            check_names(server, ("urls", "username", "credential_env"), "[gateway] ice_servers")
            if not server.get("urls"):
                raise ConfigurationError("[gateway] an entry of ice_servers has urls")
        if self.default_route is not None and self.default_route not in self.routes:
            known = ", ".join(self.routes) or "none"
            raise ConfigurationError(
                f"[gateway] default_route {self.default_route!r} is no route; there are: {known}"
            )

    def path(self, name: str) -> Path:
        """A path that the file names, made absolute."""
        return (self.folder / Path(name).expanduser()).resolve()

    @property
    def data_folder(self) -> Path | None:
        """Where what outlives the process is kept; None with the store in memory."""
        return None if self.store == "memory" else self.path(self.store).parent

    @property
    def keys_config(self) -> KeysConfig:
        """The table `[keys]`, checked.

        Raises:
            ConfigurationError: a name or a value in it is not allowed.
        """
        check_names(self.keys, KeysConfig.__struct_fields__, "[keys]")
        return KeysConfig.read(self.keys, self.folder)

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host in LOOPBACK


_OWN = tuple(
    name
    for name in GatewayConfig.__struct_fields__
    if name not in ("providers", "routes", "keys", "twilio", "folder")
)


def _table(content: Mapping[str, Any], name: str, of: str = "") -> dict[str, Any]:
    value = content.get(name, {})
    if not isinstance(value, Mapping):
        shown = f"[{of}.{name}]" if of else f"[{name}]"
        raise ConfigurationError(f"{shown} is a table, not {type(value).__name__}")
    return dict(value)


def _words(failure: msgspec.ValidationError, values: Mapping[str, Any]) -> str:
    """What was wrong, by name: "[gateway] port: expected int <= 65535, not 70000"."""
    text, _, place = str(failure).partition(" - at `$.")
    name = place.rstrip("`").split("[")[0].split(".")[0]
    words = text.replace("`", "")
    words = words[:1].lower() + words[1:]
    return (
        f"[gateway] {name}: {words}, not {values[name]!r}"
        if name in values
        else f"[gateway] {words}"
    )
