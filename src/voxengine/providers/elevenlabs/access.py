"""Where ElevenLabs is, the key to it, and how it names voices and formats of audio."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from voxengine.audio.formats import AudioFormat
from voxengine.errors import ConfigurationError
from voxengine.net import Closed, WebSocket, connect_websocket
from voxengine.providers.elevenlabs.voices import VOICES
from voxengine.providers.endpoints import Parameters, need_key, websocket_url
from voxengine.providers.voices import Mapped, map_voice

__all__ = [
    "FORMATS",
    "HEADER",
    "KEYS",
    "Access",
    "base_url",
    "format_of",
    "voice_of",
]

KEYS = ("ELEVENLABS_API_KEY", "ELEVEN_API_KEY")
#: In which the key is shown.
HEADER = "xi-api-key"
#: The vendor's table of voices.

#: Hosts by where data stays (`elevenlabs.environment`); None is wherever the vendor likes.
_HOSTS = {
    None: "api.elevenlabs.io",
    "us": "api.us.elevenlabs.io",
    "eu": "api.eu.residency.elevenlabs.io",
    "in": "api.in.residency.elevenlabs.io",
    "sg": "api.sg.residency.elevenlabs.io",
}

#: Formats by the vendor's names, the usual one first.
FORMATS = {
    f"pcm_{rate}": AudioFormat("pcm16", rate) for rate in (16000, 24000, 48000, 44100, 22050, 8000)
} | {"ulaw_8000": AudioFormat("g711_ulaw", 8000)}

_OPTIONS = ("api_key", "endpoint", "residency", "connect_timeout", "proxy", "ssl_context")
#: Seconds until a part is connected.
CONNECT_S = 8.0

#: The vendor's ids of voices.
_ID = re.compile(r"[A-Za-z0-9]{20}")


def base_url(residency: object = None) -> str:
    """The address of the vendor, without a path; `residency` is us, eu, in, sg or None.

    Raises:
        ConfigurationError: it is another.
    """
    if residency is not None and not isinstance(residency, str):
        raise ConfigurationError(f"residency is a word, not {residency!r}")
    try:
        return f"wss://{_HOSTS[residency]}"
    except KeyError:
        known = ", ".join(name for name in _HOSTS if name)
        raise ConfigurationError(f"residency is one of {known}, not {residency!r}") from None


def format_of(name: str) -> AudioFormat:
    """The format that the vendor calls so.

    Raises:
        ConfigurationError: there is none.
    """
    try:
        return FORMATS[name]
    except KeyError:
        known = ", ".join(FORMATS)
        raise ConfigurationError(f"a format is one of {known}, not {name!r}") from None


def voice_of(name: str) -> Mapped:
    """The id of a voice: one of the account's own passes, other names are those of the table or the nearest to them."""
    if _ID.fullmatch(name.strip()):
        return Mapped(name.strip(), exact=True)
    return map_voice(name, VOICES)


class Access:
    """How a part reaches the vendor: its options, and the key. The repr shows no key.

    Args:
        part: the name of the part.
        options: `api_key`, `endpoint`, `residency`, `connect_timeout`, `proxy`, `ssl_context`, and the part's own.
        own: the names of those.

    Raises:
        ConfigurationError: an option is unknown, or there is no key.
    """

    def __init__(self, part: str, options: Mapping[str, Any], own: Collection[str]) -> None:
        known = {*_OPTIONS, *own}
        unknown = sorted(set(options) - known)
        if unknown:
            raise ConfigurationError(
                f"{part} has no option {', '.join(map(repr, unknown))}; it has {', '.join(sorted(known))}"
            )
        self.part = part
        self._options = options
        self._key = need_key("elevenlabs", options.get("api_key"), KEYS)
        base_url(options.get("residency"))

    def __repr__(self) -> str:
        return f"Access({self.part!r})"

    @property
    def budget(self) -> float:
        """Seconds that opening may take."""
        return float(self._options.get("connect_timeout", CONNECT_S))

    def masked(self, words: str) -> str:
        """The vendor's words without the key."""
        return words.replace(self._key, "***")

    async def connect(
        self,
        path: str,
        parameters: Parameters,
        *,
        on_text: Callable[[memoryview], None],
        on_closed: Callable[[Closed], None],
        on_dropped: Callable[[int, int], None] | None = None,
    ) -> WebSocket:
        """Open a WebSocket.

        Raises:
            ProviderError: it could not be opened.
        """
        options = self._options
        return await connect_websocket(
            websocket_url(
                f"{base_url(options.get('residency'))}{path}", options.get("endpoint"), parameters
            ),
            on_text=on_text,
            on_closed=on_closed,
            on_dropped=on_dropped,
            headers={HEADER: self._key},
            proxy=options.get("proxy"),
            ssl_context=options.get("ssl_context"),
            timeout=self.budget,
            provider=self.part,
            secrets=(self._key,),
        )
