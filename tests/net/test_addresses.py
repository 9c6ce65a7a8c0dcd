"""URLs, proxies of the environment, headers, and what is kept out of sight."""

from __future__ import annotations

import subprocess
import sys

import pytest

from voxengine.errors import ConfigurationError
from voxengine.net.addresses import check_headers, choose_proxy, parse_url
from voxengine.net.masking import Mask, clip

KEY = "sk-proj-4f9a8b7c6d5e4f3a2b1c"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_an_address_is_taken_apart() -> None:
    address = parse_url("wss://api.example.com/v1/realtime?model=m")
    assert (address.host, address.port, address.secure) == ("api.example.com", 443, True)
    assert address.url == address.shown == "wss://api.example.com/v1/realtime?model=m"
    assert parse_url("ws://[::1]:8000").port == 8000
    assert parse_url("ws://h").port == 80


def test_user_password_and_keys_are_not_shown() -> None:
    address = parse_url(
        f"wss://me:pa%20ss@h.example/p?api-key={KEY}&model=m&access_token=t0ken&key=&X-Amz-Signature=abc"
    )
    assert "me" not in address.shown.partition("model")[0].replace("example", "")
    shown = "wss://h.example/p?api-key=***&model=m&access_token=***&key=***&X-Amz-Signature=***"
    assert address.shown == shown
    assert repr(address) == f"Address({shown!r})"
    assert (
        address.url
        == f"wss://h.example/p?api-key={KEY}&model=m&access_token=t0ken&key=&X-Amz-Signature=abc"
    )
    assert address.authorization == "Basic bWU6cGEgc3M="  # me:pa ss


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "http://example.com",
        "ws://",
        "ws://:80",
        "ws://h:port",
        "ws://h:99999",
        "ws://h/#part",
        "ws://h/a b",
        "ws://h/\r\nX: y",
        "ws://hö.de/",
        "ws://[::1",
        None,
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_url(url)


def test_a_refused_url_shows_nothing_of_itself() -> None:
    for url in (f"wss://u:{KEY}@h:port/", f"https://h/?key={KEY}", f"wss://h/?key={KEY}#f"):
        with pytest.raises(ConfigurationError) as refused:
            parse_url(url)
        assert KEY not in str(refused.value)


@pytest.mark.parametrize(
    ("variables", "url", "expected"),
    [
        ({"https_proxy": "http://p:3128"}, "wss://h.example", "http://p:3128"),
        ({"https_proxy": "http://p:3128"}, "ws://h.example", None),
        ({"HTTP_PROXY": "p:3128"}, "ws://h.example", "http://p:3128"),
        ({"all_proxy": "socks5h://p"}, "wss://h.example", "socks5://p:1080"),
        ({"ALL_PROXY": "socks4://p:9"}, "ws://h.example", "socks4://p:9"),
        ({"https_proxy": "http://a", "HTTPS_PROXY": "http://b"}, "wss://h.example", "http://a:80"),
        ({"https_proxy": "http://p", "no_proxy": "example"}, "wss://h.example", None),
        ({"https_proxy": "http://p", "NO_PROXY": "*"}, "wss://h.example", None),
        ({"https_proxy": "http://p", "no_proxy": "other"}, "wss://h.example", "http://p:80"),
        ({"http_proxy": "http://p"}, "ws://127.0.0.1:1", None),
        ({"http_proxy": "http://p"}, "ws://localhost:1", None),
    ],
)
def test_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str, expected: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    proxy = choose_proxy(parse_url(url), None)
    assert (proxy and proxy.url) == expected
    assert choose_proxy(parse_url(url), "") is None
    given = choose_proxy(parse_url(url), "https://me:word@given")
    assert given is not None
    assert (given.url, given.shown) == ("https://me:word@given:443", "https://given:443")


def test_a_wrong_proxy_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "ftp://me:geheim@p")
    with pytest.raises(ConfigurationError, match="https_proxy") as refused:
        choose_proxy(parse_url("wss://h.example"), None)
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    ("headers", "subprotocols"),
    [
        ({"Authorization": f"Bearer {KEY}\n"}, ()),
        ({"X-Name": "Müller"}, ()),
        ({"X Name": "x"}, ()),
        ({"": "x"}, ()),
        ({"Upgrade": "h2c"}, ()),
        ({"Sec-WebSocket-Protocol": "x"}, ()),
        ({}, ("one, two",)),
        ({}, ("",)),
    ],
)
def test_headers_that_would_break_the_request_are_refused(
    headers: dict[str, str], subprotocols: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        check_headers(headers, subprotocols)
    assert KEY not in str(refused.value)


def test_secrets_are_masked_in_every_form_in_which_they_were_sent() -> None:
    mask = Mask(
        [f"wss://me:p%40ssword@h/?api-key={KEY}%2B&model=gpt", ""],
        {
            "X-Api-Key": "another-key-123",
            "OpenAI-Beta": "realtime=v1",
            "authorization": f"Bearer {KEY}",
        },
        ["realtime", "openai-insecure-api-key.ek_68af296e8e408191"],
    )
    said = (
        f"bad {KEY} and {KEY}+ and {KEY}%2B, sk-proj-****2b1c, another-key-123, p@ssword, p%40ssword, "
        "ek_68af296e8e408191; gpt realtime=v1 Bearer realtime platform.openai.com"
    )
    shown = mask(said)
    for secret in (KEY, "2b1c", "another-key", "ssword", "ek_68"):
        assert secret not in shown
    assert shown.endswith("; gpt realtime=v1 Bearer realtime platform.openai.com")


def test_without_secrets_nothing_is_masked() -> None:
    assert Mask(["ws://h/?model=m"], {}, [])("any text") == "any text"


def test_clip_makes_one_short_line() -> None:
    assert clip("a\r\n\x1b[31m b\0", 80) == "a [31m b"
    assert clip("x" * 100, 10) == "xxxxxxx..."


def test_the_room_is_cheap_to_enter() -> None:
    code = (
        "import sys, voxengine.net; print('picows' in sys.modules, 'urllib.request' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["False", "False"]
