"""Providers by name: of the application, built in, and of installed packages."""

from __future__ import annotations

import logging
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import voxengine
from voxengine.audio.formats import AudioFormat
from voxengine.config import ProviderConfig
from voxengine.errors import ConfigurationError, ProviderError, UnknownProviderError
from voxengine.providers import registry
from voxengine.providers.base import BaseProvider
from voxengine.providers.capabilities import Capabilities
from voxengine.providers.registry import (
    create_provider,
    find_providers,
    get_provider,
    list_providers,
    register_provider,
    unregister_provider,
)


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(registry, "_offered", None)


class Plain(BaseProvider):
    """A provider that does nothing."""

    async def connect(self) -> bool:
        return True

    async def disconnect(self) -> None: ...

    async def send_audio(self, audio_data: bytes) -> None: ...

    async def send_text(self, text: str, role: str = "user") -> None: ...

    async def interrupt(self) -> None: ...


class Gifted(Plain):
    capabilities = Capabilities(tools=True, say=True, voices=("a",), history="items")


def test_a_class_is_registered_and_found() -> None:
    register_provider("plain", Plain)
    assert get_provider("plain") is Plain
    assert "plain" in list_providers()
    assert list_providers() == sorted(list_providers())
    provider = create_provider("plain", {"voice": "x"})
    assert type(provider) is Plain
    assert provider.name == "plain"
    assert provider.config.voice == "x"


def test_a_function_that_makes_one_will_do() -> None:
    register_provider("made", lambda config: Gifted(config))
    provider = create_provider("made", ProviderConfig(model="m"))
    assert type(provider) is Gifted
    assert provider.name == "made"
    assert provider.config.model == "m"


def test_the_later_registration_counts() -> None:
    register_provider("p", Plain)
    register_provider("p", Gifted)
    assert get_provider("p") is Gifted


def test_a_built_in_may_be_replaced_and_is_there_again() -> None:
    original = get_provider("mock")
    register_provider("mock", Plain)
    assert get_provider("mock") is Plain
    assert list_providers().count("mock") == 1
    unregister_provider("mock")
    assert get_provider("mock") is original
    unregister_provider("never registered")


def test_the_public_names_are_these() -> None:
    assert voxengine.register_provider is register_provider
    assert voxengine.create_provider is create_provider
    assert voxengine.list_providers is list_providers
    assert voxengine.find_providers is find_providers


@pytest.mark.parametrize("name", ["", "  ", None, 5])
def test_a_name_is_needed(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="name"):
        register_provider(name, Plain)


@pytest.mark.parametrize("factory", [None, "Plain", Plain(), dict, object()])
def test_a_factory_is_needed(factory: Any) -> None:
    with pytest.raises(ConfigurationError, match="neither"):
        register_provider("p", factory)
    assert "p" not in list_providers()


def test_an_unknown_name_is_answered_with_those_there_are_and_the_nearest() -> None:
    register_provider("azure", Plain)
    with pytest.raises(UnknownProviderError) as caught:
        create_provider("azur")
    assert "Did you mean 'azure'?" in str(caught.value)
    assert "local, mock" in str(caught.value)
    assert (caught.value.provider, caught.value.code) == ("azur", "unknown_provider")
    assert isinstance(caught.value, ProviderError)
    assert isinstance(caught.value, LookupError)


def test_an_unknown_name_like_no_other_gets_no_suggestion() -> None:
    with pytest.raises(UnknownProviderError) as caught:
        get_provider("zzzzzzz")
    assert "Did you mean" not in str(caught.value)


def test_a_factory_that_makes_something_else_is_found_out() -> None:
    register_provider("odd", lambda config: {"not": "a provider"})  # type: ignore[arg-type,return-value]
    with pytest.raises(ConfigurationError, match="'odd' made a dict"):
        create_provider("odd")


class NeedsEndpoint(Plain):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.endpoint = config["metadata"]["endpoint"]


class Unfinished(BaseProvider):
    async def connect(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("factory", "words"),
    [(NeedsEndpoint, "KeyError: 'endpoint'"), (Unfinished, "abstract")],
)
def test_one_that_cannot_be_made_says_so_in_our_words(factory: Any, words: str) -> None:
    register_provider("broken", factory)
    with pytest.raises(ConfigurationError, match="'broken'") as caught:
        create_provider("broken", {})
    assert words in str(caught.value)
    assert caught.value.__cause__ is not None


def test_errors_of_ours_in_the_making_stay_what_they_are() -> None:
    class Strict(Plain):
        def __init__(self, config: Any) -> None:
            raise ProviderError("no region", code="region")

    register_provider("strict", Strict)
    with pytest.raises(ProviderError, match="no region") as caught:
        create_provider("strict")
    assert caught.value.code == "region"


def test_find_by_what_they_can_do() -> None:
    register_provider("plain", Plain)
    register_provider("gifted", Gifted)
    assert "gifted" in find_providers("tools", "say", "voices", "history")
    assert "plain" not in find_providers("tools")
    assert {"plain", "gifted", "mock"} <= set(find_providers())
    assert {"plain", "gifted"} <= set(find_providers("audio_output", "input_formats"))
    assert "local" in find_providers("tools", "on_device")
    assert "gifted" not in find_providers("on_device")


def test_find_knows_what_a_capability_is_called() -> None:
    with pytest.raises(ConfigurationError, match=r"tolls.*'tools'"):
        find_providers("tolls")


# -- installed packages

PACKAGE = """
    from voxengine.providers.base import BaseProvider
    from voxengine.providers.capabilities import Capabilities

    class AcmeProvider(BaseProvider):
        capabilities = Capabilities(tools=True)

        async def connect(self):
            return True

        async def disconnect(self): ...
        async def send_audio(self, audio_data): ...
        async def send_text(self, text, role="user"): ...
        async def interrupt(self): ...
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of installed packages with one that offers providers, of which some cannot be loaded."""
    (tmp_path / "acme_voice.py").write_text(textwrap.dedent(PACKAGE))
    info = tmp_path / "acme_voice-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-voice\nVersion: 1.2\n")
    (info / "RECORD").write_text("")
    (info / "entry_points.txt").write_text(
        "[voxengine.providers]\n"
        "acme = acme_voice:AcmeProvider\n"
        "acme-gone = acme_voice:NoSuchClass\n"
        "acme-broken = acme_voice_native:Provider\n"
        "acme-odd = acme_voice:Capabilities\n"
        "[other.group]\n"
        "other = acme_voice:AcmeProvider\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("acme_voice", None)


@pytest.mark.usefixtures("site")
class TestInstalledPackages:
    def test_what_a_package_offers_is_listed_without_being_loaded(self) -> None:
        assert "acme" in list_providers()
        assert "other" not in list_providers()
        assert "acme_voice" not in sys.modules

    def test_it_is_loaded_when_asked_for(self) -> None:
        provider = create_provider("acme", {"metadata": {"a": 1}})
        assert type(provider).__name__ == "AcmeProvider"
        assert provider.name == "acme"
        assert provider.get_audio_format() == AudioFormat()

    def test_the_application_goes_before_a_package(self) -> None:
        register_provider("acme", Plain)
        assert get_provider("acme") is Plain
        unregister_provider("acme")
        factory: Any = get_provider("acme")
        assert factory.__name__ == "AcmeProvider"

    def test_a_name_near_to_it_is_suggested(self) -> None:
        with pytest.raises(UnknownProviderError, match="Did you mean 'acme'"):
            create_provider("acmee")

    @pytest.mark.parametrize("name", ["acme-gone", "acme-broken", "acme-odd"])
    def test_one_that_cannot_be_loaded_says_which_and_why(self, name: str) -> None:
        with pytest.raises(ConfigurationError, match=f"'{name}'.*acme_voice"):
            create_provider(name)

    def test_one_that_cannot_be_loaded_does_not_hide_the_others(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            assert "acme" in find_providers("tools")
        assert "acme-broken" in caplog.text
